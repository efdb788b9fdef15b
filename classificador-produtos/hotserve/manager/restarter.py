"""Starts the process of the version that is served again whenever it ends by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from hotserve.backoff import delays
from hotserve.config.settings import Settings
from hotserve.log import logger
from hotserve.manager.deployment import Served
from hotserve.manager.lane_opener import LaneOpener
from hotserve.manager.publisher import Answering
from hotserve.manager.status import title
from hotserve.processes.model_server import StartError
from hotserve.redaction import Redactor

_STEADY_SECONDS = 60.0
"""A process that lived that long is started again at once when it ends."""


class ProcessKeeper:
    """Back-off for a process that keeps ending; the lane answers meanwhile.

    `reopen` compares a lane with its process, for one whose process ended while it was compared.
    """

    def __init__(
        self,
        settings: Settings,
        answering: Answering,
        redactor: Redactor,
        *,
        reopen: Callable[[Served, LaneOpener], Coroutine[Any, Any, None]],
    ) -> None:
        self._settings = settings
        self._answering = answering
        self._redactor = redactor
        self._reopen = reopen

    async def keep(self, served: Served) -> None:
        """Without end; to be cancelled when another version takes over."""
        loop = asyncio.get_running_loop()
        while True:
            begun = time.monotonic()
            end = await served.server.ended()
            self._answering.process_ended()
            steady = time.monotonic() - begun > _STEADY_SECONDS
            # No request waits longer; after that, more would only queue up.
            patience = loop.call_later(self._settings.hold_timeout, self._answering.let_go)
            try:
                await self._start_again(served, end.reason(), 0.0 if steady else 0.5)
            finally:
                patience.cancel()

    async def _start_again(self, served: Served, reason: str, first_delay: float) -> None:
        status = self._answering.status
        for delay in delays(first_delay, 30.0):
            status.restarting(served.version, self._redactor.text(reason))
            logger.error(
                "the process of %s ended (%s); starting it again", title(served.version), reason
            )
            await asyncio.sleep(delay)
            try:
                await served.server.start(self._settings.start_timeout)
            except StartError as error:
                reason = str(error)
            else:
                break
        self._answering.by_process(served)
        status.restarted()
        logger.info("serving %s again", status.full_title(served.version))
        if served.opener is not None and not served.is_settled:
            # It ended while it was compared.
            if served.opening is not None:
                await asyncio.wait([served.opening])
            served.opening = asyncio.create_task(self._reopen(served, served.opener))
