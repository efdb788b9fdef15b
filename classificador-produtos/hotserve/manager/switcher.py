"""Starts the desired version and moves the requests over to it, one version at a time."""

import asyncio
import contextlib
from itertools import count

from hotserve.backoff import Backoff
from hotserve.config.folders import write_error
from hotserve.ipc.messages import LaneTarget
from hotserve.log import logger
from hotserve.manager.deployment import Deployment, cancel
from hotserve.manager.preparation import Preparation
from hotserve.manager.publisher import Publisher
from hotserve.manager.registry import ModelVersion
from hotserve.manager.status import title
from hotserve.manager.supervisor import DRAIN_MARGIN, Supervisor
from hotserve.manager.workers.pool import WorkerPool
from hotserve.processes.model_server import StartError
from hotserve.redaction import Redactor

_LANE_SECONDS = 30.0
"""That a healthy version waits for its lane while another one answers."""


class Switcher:
    """At most one version is active, and at most one more is starting; the one desired last wins.

    Attributes:
        preparation: of the versions.
        publisher: has the workers serve the active one.
        status: what `/model` shows.
    """

    def __init__(self, preparation: Preparation, pool: WorkerPool, redactor: Redactor) -> None:
        self.preparation = preparation
        self._settings, self._cache = preparation.settings, preparation.cache
        self._desired: ModelVersion | None = None
        self._starting: ModelVersion | None = None
        self._start_task: asyncio.Task[None] | None = None
        self._one_start = asyncio.Lock()
        self._supervisor: Supervisor | None = None
        self._supervising: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.publisher = Publisher(preparation.reference, preparation.settings, pool, redactor)
        self.status = self.publisher.status

    @property
    def _active(self) -> Deployment | None:
        return self.publisher.active

    @property
    def active_version(self) -> ModelVersion | None:
        """The version that answers, or would if its process were not starting again."""
        return self._active.version if self._active else None

    @property
    def is_starting(self) -> bool:
        """Whether a version is starting."""
        return self._starting is not None

    def deploy(self, version: ModelVersion) -> None:
        """Serve `version`: nothing to do if it is served, or starting."""
        active = self._active
        is_active = active is not None and active.version.identity == version.identity
        before, self._desired = self._desired, version
        if before is not None and before.identity == version.identity:
            # Not only if it is another than before: this may have become so while it started.
            if is_active:
                self.refresh(version)
        elif active is not None and is_active and active.started:
            self._give_up_start()
            self.refresh(version)
            self.status.nothing_is_starting()
            logger.info("%s is wanted again and stays", self.status.full_title(version))
        else:
            self._start(version)

    def refresh(self, version: ModelVersion) -> None:
        """Show the stage and aliases that the active version has now."""
        if self._active is not None and self._active.version != version:
            self._active.version = version
            self.publisher.publish()

    def deploy_nothing(self) -> None:
        """Nothing is desired any more: what is active stays, what is starting is given up."""
        self._desired = None
        if self._active is not None and not self._active.started:
            # Only its lane answers so far; as it stays, its process has to come.
            self._start(self._active.version)
            return
        self._give_up_start()
        self.status.nothing_is_starting()

    def wake(self) -> None:
        """A request waits for the process, if that sleeps."""
        if self._supervisor is not None:
            self._supervisor.wake()

    @property
    def process_memory(self) -> int:
        """Bytes of the active version's process, where many models are served; 0 asleep."""
        return self._active.server.slots.memory_used(self._active.server) if self._active else 0

    async def end(self) -> None:
        """Serve nothing any more, and stop every server process when its last request is over."""
        drained = self.publisher.drained()
        self.publisher.end()
        await self.close(after=drained)

    def show_beside(self, compared: LaneTarget | None, shown: dict[str, object] | None) -> None:
        """Have the workers explain that compiled model's answers, too; `shown` is for `/model`."""
        self.publisher.compared = compared
        self.status.compared(shown)

    async def close(self, after: asyncio.Event | None = None) -> None:
        """Stop every server process; the active one `after` that."""
        await cancel(self._start_task, self._supervising)
        if self._active is not None:
            self._close_later(self._active, after=after)
        if self._closing:
            await asyncio.wait(self._closing)

    def _start(self, version: ModelVersion) -> None:
        if self._starting is not None and self._starting.identity == version.identity:
            return
        self._give_up_start()
        self._starting = version
        self._start_task = asyncio.create_task(self._bring_up(version))

    def _give_up_start(self) -> None:
        self._starting = None
        if self._start_task is not None:
            self._start_task.cancel()

    async def _bring_up(self, version: ModelVersion) -> None:
        # The process of one that was given up is gone before the next one starts.
        async with self._one_start:
            begun = _now()
            backoff = Backoff(5.0, 300.0)
            was_cached = self.preparation.is_cached(version)
            for tries in count(1):
                self.status.starting(version)
                logger.info("starting %s", self.status.full_title(version))
                try:
                    # Its files may have been damaged here, or put right there; once, as they can
                    # be large.
                    refetch = was_cached and tries == 2
                    deployment = await self._started(version, begun, refetch=refetch)
                    self._switch(deployment, begun)
                    break
                except StartError as error:
                    await self._report_failure(version, error)
                    await asyncio.sleep(backoff.delay())
        self._starting = None

    async def _started(
        self, version: ModelVersion, begun: float, *, refetch: bool = False
    ) -> Deployment:
        """Fetch it, start it, wait until it is healthy.

        With nothing to serve yet, a lane that was open before answers at once. Where another
        version answers, this one's lane is opened before it takes over. Whatever is raised,
        nothing of it stays.

        Raises:
            StartError: it would not start.
        """
        deployment = await self.preparation.prepare(version, refetch=refetch)
        server, opener = deployment.server, deployment.opener
        try:
            if self._active is None:
                deployment.is_known = await self._begin_with_what_is_known(deployment, begun)
            if deployment.is_known:
                return deployment
            # Another environment may have to be made first: its process knows where it is.
            if opener is not None and opener.python:
                opener.begin()
            self.status.step("start")
            await server.start(self._settings.start_timeout)
            if opener is not None:
                opener.python = opener.python or server.interpreter()
            opening = self.publisher.open_lane(deployment)
            if self._active is not None and self._active.started:
                self.status.step("compare")
                await asyncio.wait([opening], timeout=_LANE_SECONDS)
                if (reason := server.end()) is not None:
                    # The version before goes on, rather than that requests wait.
                    raise StartError(reason)
        except BaseException:
            await deployment.close()
            raise
        return deployment

    async def _begin_with_what_is_known(self, deployment: Deployment, begun: float) -> bool:
        """Whether its process need not start before a request asks for it.

        It has answered before, and what its lane can do is known from then. Where one model is
        served, that process may sleep and the lane is open. Where it has to start, a lane that was
        open before answers meanwhile.
        """
        opener = deployment.opener
        verdict = await opener.saved_verdict() if opener is not None else deployment.lane
        if verdict is None:
            return False
        before, are_many = self._cache.last_served(), deployment.server.slots.are_few
        was_served = before is not None and before.identity == deployment.version.identity
        may_sleep = are_many or (self._settings.process == "asleep" and verdict.is_open)
        if was_served and may_sleep:
            deployment.lane, deployment.opener = verdict, None
            return True
        if verdict.is_open and self._active is None:
            deployment.lane = verdict
            self.publisher.serve_by_lane(deployment)
            seconds = _now() - begun
            self.status.serving_by_lane(deployment.version, seconds)
            name = self.status.full_title(deployment.version)
            logger.info("the fast lane of %s answers after %.2f s", name, seconds)
        return False

    async def _report_failure(self, version: ModelVersion, error: StartError) -> None:
        self.status.failed(version, str(error))
        active = self._active
        logger.error(
            "%s would not start%s: %s (its output: %s)",
            title(version),
            f"; version {active.version.version} goes on" if active else "",
            error,
            self.preparation.log(version) or "above",
        )
        if active is None:
            await self._fall_back(version, str(error))
        elif not active.started:
            # Requests waited for one start; more would only queue up.
            self.publisher.stop_holding()

    async def _fall_back(self, failed: ModelVersion, reason: str) -> None:
        """With nothing to serve and a version that will not start: the one served last."""
        version = self._cache.last_served()
        if version is None or version.identity == failed.identity:
            return
        begun = _now()
        with contextlib.suppress(StartError):
            deployment = await self._started(version, begun)
            logger.info("falling back to the version served last")
            self._switch(deployment, begun, remember=False)
            self.status.not_started(failed, f"{reason}; the version served last is back")

    def _switch(self, deployment: Deployment, begun: float, *, remember: bool = True) -> None:
        """From now on requests go to `deployment`; the one before ends when it has none left."""
        seconds = _now() - begun
        before, drained = self._active, self.publisher.drained()
        if self._supervising is not None:
            self._supervising.cancel()
        name = self.status.full_title(deployment.version)
        if deployment.is_known:
            self.publisher.serve_asleep(deployment)
            logger.info("serving %s, whose process starts when a request needs it", name)
        else:
            self.publisher.serve_by_process(deployment)
            logger.info("serving %s, healthy after %.1f s", name, seconds)
        self.status.serving(deployment.version, seconds)
        if before is not None and before is not deployment:
            self._close_later(before, after=drained)
        self._supervisor = Supervisor(deployment, self.publisher, self._settings)
        self._supervising = asyncio.create_task(self._supervisor.run())
        try:
            if remember and self.preparation.reference.kind != "path":
                self._cache.save_last_served(deployment.version)
        except OSError as error:
            why = write_error(error, self._cache.folder)
            logger.warning("the cache can't be written to: %s", why)

    def _close_later(self, deployment: Deployment, after: asyncio.Event | None) -> None:
        timeout = self._settings.command.timeout + DRAIN_MARGIN
        task = asyncio.create_task(deployment.close(after, timeout))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _now() -> float:
    return asyncio.get_running_loop().time()
