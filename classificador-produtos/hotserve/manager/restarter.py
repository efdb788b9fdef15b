"""Starts the process of the active deployment again whenever it ends by itself."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from hotserve.backoff import Backoff
from hotserve.config.settings import Settings
from hotserve.log import logger
from hotserve.manager.deployment import Deployment
from hotserve.manager.lane_opener import LaneOpener
from hotserve.manager.publisher import Publisher
from hotserve.manager.status import title
from hotserve.processes.model_server import StartError

_LONGEST_DELAY = 30.0


@dataclass(frozen=True, slots=True)
class Restarter:
    """Back-off for a process that keeps ending; the lane answers meanwhile.

    Attributes:
        reopen: compares a lane with its process; called for a deployment whose process ended
            before that was done.
    """

    settings: Settings
    publisher: Publisher
    reopen: Callable[[Deployment, LaneOpener], Coroutine[Any, Any, None]]

    async def run(self, deployment: Deployment) -> None:
        """Without end; to be cancelled when another version takes over."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(0.0, _LONGEST_DELAY)
        while True:
            started = loop.time()
            end = await deployment.server.ended(self.settings.command.timeout)
            lived = loop.time() - started
            self.publisher.process_ended()
            # No request waits longer; after that, more would only queue up.
            holding = loop.call_later(self.settings.hold_timeout, self.publisher.stop_holding)
            try:
                await self._start_again(deployment, end.reason(), backoff, lived)
            finally:
                holding.cancel()

    async def _start_again(
        self, deployment: Deployment, reason: str, backoff: Backoff, lived: float
    ) -> None:
        status = self.publisher.status
        while True:
            status.restarting(deployment.version, reason)
            logger.error(
                "the process of %s ended (%s); starting it again", title(deployment.version), reason
            )
            await asyncio.sleep(backoff.delay(lived))
            try:
                await deployment.server.start(self.settings.start_timeout)
                break
            except StartError as error:
                reason, lived = str(error), 0.0
        self.publisher.serve_by_process(deployment)
        status.restarted()
        logger.info("serving %s again", status.full_title(deployment.version))
        if deployment.opener is not None and not deployment.is_compared:
            if deployment.opening is not None:
                await asyncio.wait([deployment.opening])
            deployment.opening = asyncio.create_task(self.reopen(deployment, deployment.opener))
