"""Brings up the version that is wanted and moves the requests over, one version at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from hotserve import mlmodel
from hotserve.cache import Cache
from hotserve.errors import Scrubber
from hotserve.fetch import fetch
from hotserve.log import logger
from hotserve.mlmodel import TextInput
from hotserve.model_server import ModelServer, StartError
from hotserve.model_uri import ModelReference
from hotserve.registry import ModelVersion
from hotserve.settings import Settings
from hotserve.status import Status, title
from hotserve.target import Target
from hotserve.workers import WorkerPool

_STOP_GRACE = 3.0
_STEADY_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class Served:
    """A version with its process; `generation` grows with each process that takes over."""

    version: ModelVersion
    server: ModelServer
    text_input: TextInput
    hold: contextlib.ExitStack
    generation: int = 0

    def target(self) -> Target:
        """Where to send requests for it."""
        return Target(
            self.generation,
            self.server.port,
            self.version.version,
            self.server.mlflow,
            self.text_input,
        )


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
        scrubber: Scrubber,
    ) -> None:
        self._settings = settings
        self._reference = reference
        self._cache = cache
        self._environment = environment
        self._session = session
        self._scrubber = scrubber
        self._current: Served | None = None
        self._wanted: ModelVersion | None = None
        self._pending: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._generation = 0
        self._healthy = False
        self._hold = False
        self._pool: WorkerPool | None = None
        self.status = Status(reference, self._publish)

    def use(self, pool: WorkerPool) -> None:
        """The workers to tell."""
        self._pool = pool
        self._publish()

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
        self._abandon()
        if self._current is not None and self._current.version.identity == version.identity:
            self._current.version = version
            self.status.still(version)
            logger.info("%s is wanted again and stays", self._title(version))
            return
        self._pending = asyncio.create_task(self._bring_up(version, self._pending))

    def want_nothing(self) -> None:
        """Nothing is wanted any more: what is served stays, what is on its way is given up."""
        self._wanted = None
        self._abandon()

    @property
    def serves(self) -> ModelVersion | None:
        """The version that answers, or would if its process were not starting again."""
        return self._current.version if self._current else None

    @property
    def is_busy(self) -> bool:
        """Whether a version is on its way."""
        return self._pending is not None and not self._pending.done()

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

    def _abandon(self) -> None:
        if self._pending is not None:
            self._pending.cancel()

    async def _bring_up(self, version: ModelVersion, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            # It was given up, and its process is gone before the next one starts.
            await asyncio.wait([before])
        begun = time.monotonic()
        for delay in _delays(5.0, 300.0):
            self.status.starting(version)
            logger.info("starting %s", self._title(version))
            try:
                served = await self._start(version)
            except StartError as error:
                reason = self._scrubber.text(str(error))
                self.status.failed(version, reason)
                goes_on = (
                    f"; version {self._current.version.version} goes on" if self._current else ""
                )
                logger.error(
                    "%s would not start%s: %s (its output: %s)",
                    *(title(version), goes_on, error, self._log(version) or "above"),
                )
                if self._current is None:
                    await self._fall_back(version)
                await asyncio.sleep(delay)
            else:
                self._switch(served, time.monotonic() - begun)
                return

    async def _fall_back(self, failed: ModelVersion) -> None:
        """With nothing to serve and a version that will not start: the last good one."""
        version = self._cache.last_good()
        if version is None or version.identity == failed.identity:
            return
        begun = time.monotonic()
        with contextlib.suppress(StartError):
            served = await self._start(version)
            logger.info("falling back to the version served last")
            self._switch(served, time.monotonic() - begun, remember=False)
            self.status.failed(failed, "it would not start; the version served last is back")

    async def _start(self, version: ModelVersion) -> Served:
        """Fetch it, start it, wait until it is healthy. StartError, or cancelled: nothing stays."""
        with contextlib.ExitStack() as hold:
            if self._reference.kind == "path":
                model = self._reference.path
            else:
                entry = self._cache.entry(version)
                if not entry.is_complete() or self._reference.kind == "remote":
                    await self._fetch(version)
                try:
                    hold.enter_context(entry.in_use())
                except OSError as error:
                    raise StartError(f"the cache can't be read: {error.strerror}") from None
                model = entry.model
            server = ModelServer(
                self._settings.command,
                model,
                environment=self._environment,
                log=self._log(version),
                label=f"[{version.version or version.name}] ",
                session=self._session,
            )
            try:
                await server.start(self._settings.start_timeout)
            except BaseException:
                await server.close(_STOP_GRACE)
                raise
            return Served(version, server, mlmodel.read(model), hold.pop_all())

    async def _fetch(self, version: ModelVersion) -> None:
        uri = (
            f"models:/{version.name}/{version.version}"
            if self._reference.in_registry
            else self._reference.uri
        )
        entry = self._cache.entry(version)
        try:
            await fetch(
                uri,
                self._cache,
                entry,
                self._settings.command,
                environment=self._environment,
                log=self._log(version),
                label=f"[{version.version or version.name}] ",
                timeout=self._settings.fetch_timeout,
                replace=self._reference.kind == "remote",
            )
        except StartError as error:
            if not entry.is_complete():
                raise
            logger.warning("%s; the copy in the cache is used", error)

    def _switch(self, served: Served, seconds: float, *, remember: bool = True) -> None:
        """From now on requests go to `served`; the one before ends when it has none left."""
        before, self._current = self._current, served
        if self._keeping is not None:
            self._keeping.cancel()
        self._take_over(served)
        self.status.serving(served.version, seconds)
        logger.info("serving %s, healthy after %.1f s", self._title(served.version), seconds)
        if before is not None:
            assert self._pool is not None
            self._close_later(before, after=self._pool.retired(before.generation))
        self._keeping = asyncio.create_task(self._keep(served))
        try:
            if remember and self._reference.kind != "path":
                self._cache.remember(served.version)
            self._cache.prune(self._settings.keep_versions)
        except OSError as error:
            logger.warning("the cache can't be written to: %s", error.strerror)

    def _take_over(self, served: Served) -> None:
        self._generation += 1
        served.generation = self._generation
        self._healthy, self._hold = True, False

    async def _keep(self, served: Served) -> None:
        """Start the process of `served` again whenever it ends by itself."""
        while True:
            begun = time.monotonic()
            end = await served.server.ended()
            self._healthy, self._hold = False, True
            steady = time.monotonic() - begun > _STEADY_SECONDS
            for delay in _delays(0.0 if steady else 0.5, 30.0):
                self.status.restarting(served.version, self._scrubber.text(end.reason()))
                logger.error(
                    "the process of %s ended (%s); starting it again",
                    *(title(served.version), end.reason()),
                )
                await asyncio.sleep(delay)
                try:
                    await served.server.start(self._settings.start_timeout)
                except StartError as error:
                    # Requests waited for one start; more would only queue them up.
                    self._hold = False
                    self.status.restarting(served.version, self._scrubber.text(str(error)))
                else:
                    break
            self._take_over(served)
            self.status.restarted()
            logger.info("serving %s again", self._title(served.version))

    def _close_later(self, served: Served, after: asyncio.Event | None) -> None:
        async def close() -> None:
            if after is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(after.wait(), self._settings.command.timeout + 5)
            await served.server.close(_STOP_GRACE)
            served.hold.close()

        task = asyncio.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _publish(self) -> None:
        if self._pool is None:
            return
        target = self._current.target().to_json() if self._current and self._healthy else None
        self._pool.publish(target, self.status.to_json(), self._hold)

    def _log(self, version: ModelVersion) -> Path | None:
        if self._settings.child_log == "-":
            return None
        folder = Path(self._settings.child_log) if self._settings.child_log else self._cache.logs
        return folder / f"{version.version or 'model'}.log"

    def _title(self, version: ModelVersion) -> str:
        words = self._reference.describe()
        return f"{title(version)} ({words})" if words else title(version)


def _delays(first: float, longest: float) -> Iterator[float]:
    """Seconds to wait after each failure: doubling, up to `longest`."""
    delay = first
    while True:
        yield delay
        delay = min(max(2 * delay, 1.0), longest)
