"""Starts the process of the active deployment again whenever it ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hotserve.backoff import Backoff
from hotserve.config.settings import Settings
from hotserve.log import logger
from hotserve.manager.deployment import Deployment
from hotserve.manager.lane_opener import LaneOpener
from hotserve.manager.publisher import Publisher
from hotserve.manager.status import title
from hotserve.processes.model_server import StartError
from hotserve.redaction import Redactor

_LONGEST_DELAY = 30.0


class Restarter:
    """Back-off for a process that keeps ending; the lane answers meanwhile.

    Args:
        reopen: compares a lane with its process; called for a deployment whose process ended
            before that was done.
    """

    def __init__(
        self,
        settings: Settings,
        publisher: Publisher,
        redactor: Redactor,
        *,
        reopen: Callable[[Deployment, LaneOpener], Coroutine[Any, Any, None]],
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._redactor = redactor
        self._reopen = reopen

    async def run(self, deployment: Deployment) -> None:
        """Without end; to be cancelled when another version takes over."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(0.0, _LONGEST_DELAY)
        while True:
            started = loop.time()
            end = await deployment.server.ended()
            lived = loop.time() - started
            self._publisher.process_ended()
            # No request waits longer; after that, more would only queue up.
            holding = loop.call_later(self._settings.hold_timeout, self._publisher.stop_holding)
            try:
                await self._start_again(deployment, end.reason(), backoff, lived)
            finally:
                holding.cancel()

    async def _start_again(
        self, deployment: Deployment, reason: str, backoff: Backoff, lived: float
    ) -> None:
        status = self._publisher.status
        while True:
            status.restarting(deployment.version, self._redactor.text(reason))
            logger.error(
                "the process of %s ended (%s); starting it again", title(deployment.version), reason
            )
            await asyncio.sleep(backoff.delay(lived))
            try:
                await deployment.server.start(self._settings.start_timeout)
                break
            except StartError as error:
                reason, lived = str(error), 0.0
        self._publisher.serve_by_process(deployment)
        status.restarted()
        logger.info("serving %s again", status.full_title(deployment.version))
        if deployment.opener is not None and not deployment.is_compared:
            if deployment.opening is not None:
                await asyncio.wait([deployment.opening])
            deployment.opening = asyncio.create_task(self._reopen(deployment, deployment.opener))
