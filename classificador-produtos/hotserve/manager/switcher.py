"""Brings up the version that is wanted and moves the requests over, one version at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace

import aiohttp

from hotserve.backoff import delays
from hotserve.config.model_uri import ModelReference
from hotserve.config.settings import Settings
from hotserve.log import logger
from hotserve.manager.cache import Cache
from hotserve.manager.deployment import Served
from hotserve.manager.lane_opener import LaneOpener
from hotserve.manager.lane_verdict import LaneVerdict
from hotserve.manager.preparation import Starter
from hotserve.manager.publisher import Answering
from hotserve.manager.registry import ModelVersion
from hotserve.manager.restarter import ProcessKeeper
from hotserve.manager.status import title
from hotserve.manager.worker_pool import WorkerPool
from hotserve.processes.model_server import StartError
from hotserve.redaction import Redactor

_STOP_GRACE = 3.0
_WAIT_FOR_LANE = 30.0
"""Seconds that a healthy version waits for its lane while another one answers."""


class Switcher:
    """At most one version answers, and at most one more is on its way; the last wish wins."""

    def __init__(
        self,
        settings: Settings,
        reference: ModelReference,
        *,
        cache: Cache,
        environment: Mapping[str, str],
        session: aiohttp.ClientSession,
        redactor: Redactor,
    ) -> None:
        self._settings = settings
        self._reference = reference
        self._cache = cache
        self._starter = Starter(
            settings, reference, cache=cache, environment=environment, session=session
        )
        self._redactor = redactor
        self._wanted: ModelVersion | None = None
        self._coming: ModelVersion | None = None
        self._pending: asyncio.Task[None] | None = None
        self._one_start = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._answering = Answering(reference, settings.csv)
        self.status = self._answering.status
        self._keeper = ProcessKeeper(settings, self._answering, redactor, reopen=self._open)

    def use(self, pool: WorkerPool) -> None:
        """The workers to tell."""
        self._answering.use(pool)

    def want(self, version: ModelVersion) -> None:
        """Serve `version`: nothing to do if it is served, or on its way."""
        if self._wanted is not None and self._wanted.identity == version.identity:
            if self._wanted != version:
                self._wanted = version
                if self._current and self._current.version.identity == version.identity:
                    self._current.version = version
                    self.status.still(version)
            return
        self._wanted = version
        if (
            self._current is not None
            and self._current.started
            and self._current.version.identity == version.identity
        ):
            self._abandon()
            self._current.version = version
            self.status.still(version)
            logger.info("%s is wanted again and stays", self.status.full_title(version))
            return
        self._begin(version)

    def want_nothing(self) -> None:
        """Nothing is wanted any more: what is served stays, what is on its way is given up."""
        self._wanted = None
        if self._current is not None and not self._current.started:
            # Only its lane answers so far; as it stays, its process has to come.
            self._begin(self._current.version)
            return
        self._abandon()
        self.status.nothing_is_coming()

    @property
    def _current(self) -> Served | None:
        return self._answering.served

    @property
    def serves(self) -> ModelVersion | None:
        """The version that answers, or would if its process were not starting again."""
        return self._current.version if self._current else None

    @property
    def is_busy(self) -> bool:
        """Whether a version is on its way."""
        return self._coming is not None

    async def close(self) -> None:
        """Stop every server process."""
        self._abandon()
        if self._keeping is not None:
            self._keeping.cancel()
        tasks = [task for task in (self._pending, self._keeping) if task is not None]
        if tasks:
            await asyncio.wait(tasks)
        if self._current is not None:
            self._close_later(self._current, after=None)
        if self._closing:
            await asyncio.wait(self._closing)

    def _begin(self, version: ModelVersion) -> None:
        if self._coming is not None and self._coming.identity == version.identity:
            return
        self._abandon()
        self._coming = version
        self._pending = asyncio.create_task(self._bring_up(version))

    def _abandon(self) -> None:
        self._coming = None
        if self._pending is not None:
            self._pending.cancel()

    async def _bring_up(self, version: ModelVersion) -> None:
        # The process of one that was given up is gone before the next one starts.
        async with self._one_start:
            await self._keep_trying(version)
        self._coming = None

    async def _keep_trying(self, version: ModelVersion) -> None:
        begun = time.monotonic()
        kept = self._starter.has(version)
        for tries, delay in enumerate(delays(5.0, 300.0)):
            self.status.starting(version)
            logger.info("starting %s", self.status.full_title(version))
            # Its files may have been damaged here, or put right there; once, as they can be large.
            anew = kept and tries == 1
            try:
                served = await self._start(version, begun, anew=anew)
            except StartError as error:
                reason = self._redactor.text(str(error))
                self.status.failed(version, reason)
                goes_on = (
                    f"; version {self._current.version.version} goes on" if self._current else ""
                )
                logger.error(
                    "%s would not start%s: %s (its output: %s)",
                    *(title(version), goes_on, error, self._starter.log(version) or "above"),
                )
                if self._current is None:
                    await self._fall_back(version, reason)
                elif not self._current.started:
                    # Requests waited for one start; more would only queue them up.
                    self._answering.let_go()
                await asyncio.sleep(delay)
            else:
                self._switch(served, time.monotonic() - begun)
                return

    async def _fall_back(self, failed: ModelVersion, reason: str) -> None:
        """With nothing to serve and a version that will not start: the last good one."""
        version = self._cache.last_good()
        if version is None or version.identity == failed.identity:
            return
        begun = time.monotonic()
        with contextlib.suppress(StartError):
            served = await self._start(version, begun)
            logger.info("falling back to the version served last")
            self._switch(served, time.monotonic() - begun, remember=False)
            self.status.fell_back(failed, f"{reason}; the version served last is back")

    async def _start(self, version: ModelVersion, begun: float, *, anew: bool = False) -> Served:
        """Fetch it, start it, wait until it is healthy. StartError, or cancelled: nothing stays.

        With nothing to serve yet, a lane that was open before answers at once. Where another
        version answers, this one's lane is opened before it takes over.
        """
        with contextlib.ExitStack() as hold:
            served = await self._starter.prepare(version, hold, anew=anew)
            server, opener = served.server, served.opener
            if opener is not None and self._current is None:
                await self._answer_early(served, opener, begun)
            # Another environment may have to be made first: its process tells where it is.
            compiling = opener.compiling() if opener and opener.knows_python else None
            try:
                await server.start(self._settings.start_timeout)
                if opener is not None:
                    opener.python = opener.python or server.interpreter()
                    served.opening = asyncio.create_task(self._open(served, opener, compiling))
                    if self._current is not None and self._current.started:
                        await asyncio.wait([served.opening], timeout=_WAIT_FOR_LANE)
            except BaseException:
                helpers = [each for each in (served.opening, compiling) if each is not None]
                for helper in helpers:
                    helper.cancel()
                if helpers:
                    await asyncio.wait(helpers)
                await server.close(_STOP_GRACE)
                raise
            served.hold = hold.pop_all()
            return served

    async def _answer_early(self, served: Served, opener: LaneOpener, begun: float) -> None:
        """Answer from a lane that was open before, while the process is still starting."""
        verdict = await opener.remembered()
        if verdict is None or not verdict.is_open or self._current is not None:
            return
        served.lane = verdict
        self._answering.by_lane(served)
        seconds = time.monotonic() - begun
        self._answering.tell_lane()
        self.status.answering(served.version, seconds)
        logger.info(
            "the fast lane of %s answers after %.2f s",
            self.status.full_title(served.version),
            seconds,
        )

    async def _open(
        self,
        served: Served,
        opener: LaneOpener,
        compiling: asyncio.Task[LaneVerdict | None] | None = None,
    ) -> None:
        """Compare the compiled model with the healthy process, and open its lane or not."""
        verdict = await served.compare(opener, compiling)
        if verdict is None:
            return
        served.lane = verdict = replace(verdict, why=self._redactor.text(verdict.why))
        name = self.status.full_title(served.version)
        if verdict.is_open:
            logger.info("the fast lane of %s is open", name)
        else:
            logger.warning("the fast lane of %s stays shut: %s", name, verdict.why)
        if self._current is served:
            self._answering.tell_lane()
            self._answering.publish()

    def _switch(self, served: Served, seconds: float, *, remember: bool = True) -> None:
        """From now on requests go to `served`; the one before ends when it has none left."""
        before, was_healthy = self._current, self._answering.is_healthy
        if self._keeping is not None:
            self._keeping.cancel()
        self._answering.by_process(served)
        self._answering.tell_lane()
        self.status.serving(served.version, seconds)
        logger.info(
            "serving %s, healthy after %.1f s", self.status.full_title(served.version), seconds
        )
        if before is not None and before is not served:
            # Where its process was dead, no worker has a request there, or will say so.
            retired = self._answering.retired(before) if was_healthy else None
            self._close_later(before, after=retired)
        self._keeping = asyncio.create_task(self._keeper.keep(served))
        try:
            if remember and self._reference.kind != "path":
                self._cache.remember(served.version)
            self._cache.prune(self._settings.keep_versions)
        except OSError as error:
            logger.warning("the cache can't be written to: %s", error.strerror)

    def _close_later(self, served: Served, after: asyncio.Event | None) -> None:
        async def close() -> None:
            if served.opening is not None:
                served.opening.cancel()
                await asyncio.wait([served.opening])
            if after is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(after.wait(), self._settings.command.timeout + 5)
            await served.server.close(_STOP_GRACE)
            served.hold.close()

        task = asyncio.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
