"""Watches over the process of the active deployment: starts it again, and lets it sleep."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from hotserve.backoff import Backoff
from hotserve.config.settings import Settings
from hotserve.log import logger
from hotserve.manager.deployment import STOP_GRACE, Deployment
from hotserve.manager.publisher import Publisher
from hotserve.manager.status import title
from hotserve.processes.model_server import StartError

_LONGEST_DELAY = 30.0
DRAIN_MARGIN = 5.0
"""Seconds beyond the longest that one request may take."""
_LOOK = 1.0
"""Seconds between two looks whether a process may sleep; workers say as often that it is in use."""


class Supervisor:
    """Has a process running as long as it is wanted.

    One that ends by itself is started again, with a back-off if it keeps ending. Whether one may
    sleep is for others to say (`sleep`), and so is who needs it again (`wake`).
    """

    def __init__(self, deployment: Deployment, publisher: Publisher, settings: Settings) -> None:
        self._deployment = deployment
        self._publisher = publisher
        self._settings = settings
        self._backoff = Backoff(0.0, _LONGEST_DELAY)
        self._may_sleep, self._is_needed = asyncio.Event(), asyncio.Event()
        self._makes_room = False

    @property
    def last_used(self) -> float:
        """When its process was known to have a request, in seconds of the loop."""
        return self._deployment.last_used

    @property
    def is_falling_asleep(self) -> bool:
        """Whether it was sent to sleep, and nobody who counts has needed the process since."""
        return self._may_sleep.is_set()

    def may_sleep(self) -> bool:
        """Whether its process answers, and nothing is asked of it but by clients."""
        opening = self._deployment.opening
        is_compared = opening is None or opening.done()
        return self._publisher.is_healthy and is_compared and not self.is_falling_asleep

    def sleep(self, *, in_use: bool = False) -> None:
        """End the process as soon as no request is under way there.

        Args:
            in_use: it makes room for another one: requests that come meanwhile wait for the next
                start. Without it they have the process stay.
        """
        self._is_needed.clear()
        self._may_sleep.set()
        self._makes_room = in_use

    def wake(self) -> None:
        """Start it again; nothing to do where it is there, or on its way."""
        if not self._makes_room:
            self._may_sleep.clear()
        self._deployment.was_needed = True
        self._is_needed.set()

    async def run(self) -> None:
        """Without end; to be cancelled when another version takes over."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._keep_running())
            both.create_task(self._sleep_when_idle())

    async def _sleep_when_idle(self) -> None:
        """Without end: let a process sleep that no request has needed for a while.

        Where one model is served, only while its lane is open: any request may need it otherwise.
        Where many are, one that was there only to be compared with its lane sleeps at once.
        """
        deployment, are_few = self._deployment, self._deployment.server.slots.are_few
        if self._settings.process == "always" and not are_few:
            return
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_LOOK)
            has_lane = deployment.lane.is_open
            was_only_compared = are_few and has_lane and not deployment.was_needed
            wanted = 0.0 if was_only_compared else self._settings.process_idle
            is_idle = clock() - deployment.last_used >= wanted
            if is_idle and (has_lane or are_few) and self.may_sleep():
                self.sleep()

    async def _keep_running(self) -> None:
        deployment = self._deployment
        server = deployment.server
        server.sleeper = self
        try:
            while True:
                await self._until_it_is_there_again()
                # What could not be compared with the process before.
                self._publisher.open_lane(deployment)
        finally:
            server.sleeper = None

    async def _until_it_is_there_again(self) -> None:
        """Return when it ended, or slept, and answers again."""
        clock = asyncio.get_running_loop().time
        started = clock()
        # One that was never there sleeps.
        reason = await self._ended() if self._deployment.generation else None
        lived = clock() - started
        if reason is None:
            reason, lived = await self._asleep(), 0.0
        if reason is not None:
            await self._restart(reason, lived)

    async def _ended(self) -> str | None:
        """Why it ended by itself; None once it may sleep."""
        server = self._deployment.server
        await _either(server.ended(self._settings.command.timeout), self._may_sleep.wait())
        return server.end()

    async def _asleep(self) -> str | None:
        """Return when it is there again, or with the reason why it would not start."""
        deployment, publisher = self._deployment, self._publisher
        publisher.process_sleeps()
        if (drained := publisher.draining) is not None:
            if self._makes_room:
                # What is left after that are streams; they end with the process.
                with contextlib.suppress(TimeoutError):
                    longest = self._settings.command.timeout + DRAIN_MARGIN
                    await asyncio.wait_for(drained.wait(), longest)
            else:
                await _either(self._is_needed.wait(), drained.wait())
                if self._is_needed.is_set():
                    publisher.process_stays()
                    publisher.status.process_is_back()
                    return None
            await deployment.server.stop(STOP_GRACE)
            why = ": others wait for its room" if self._makes_room else ""
            logger.info("the process of %s sleeps%s", title(deployment.version), why)
        self._makes_room = False
        await self._is_needed.wait()
        self._may_sleep.clear()
        logger.info("a request needs the process of %s; waking it", title(deployment.version))
        publisher.status.waking()
        try:
            await deployment.server.start(self._settings.start_timeout)
        except StartError as error:
            return str(error)
        publisher.serve_by_process(deployment)
        publisher.status.process_is_back()
        return None

    async def _restart(self, reason: str, lived: float) -> None:
        """Start it again until that succeeds; the lane answers meanwhile."""
        deployment, publisher, status = self._deployment, self._publisher, self._publisher.status
        self._makes_room = False
        self._may_sleep.clear()
        publisher.process_ended()
        # No request waits longer; after that, more would only queue up.
        loop = asyncio.get_running_loop()
        holding = loop.call_later(self._settings.hold_timeout, publisher.stop_holding)
        try:
            while True:
                status.restarting(deployment.version, reason)
                name = title(deployment.version)
                logger.error("the process of %s ended (%s); starting it again", name, reason)
                await asyncio.sleep(self._backoff.delay(lived))
                try:
                    await deployment.server.start(self._settings.start_timeout)
                    break
                except StartError as error:
                    reason, lived = str(error), 0.0
        finally:
            holding.cancel()
        publisher.serve_by_process(deployment)
        status.process_is_back()
        logger.info("serving %s again", status.full_title(deployment.version))


async def _either(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when one of them does, and end the others."""
    tasks = [asyncio.create_task(each) for each in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
