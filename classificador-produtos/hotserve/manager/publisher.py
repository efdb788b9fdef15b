"""Which deployment answers, whether its process lives, and publishing that to the workers."""

import asyncio
import contextlib

from hotserve.config.model_uri import ModelReference
from hotserve.config.settings import Settings
from hotserve.ipc.messages import LaneTarget, Prepare
from hotserve.log import logger
from hotserve.manager.batch_opener import COMPARING, BatchOpener
from hotserve.manager.deployment import Deployment
from hotserve.manager.status import Status
from hotserve.manager.verdict import Verdict
from hotserve.manager.workers.pool import WorkerPool
from hotserve.redaction import Redactor


class Publisher:
    """What the front workers serve; published again whenever the status changes.

    Attributes:
        active: the deployment that answers, or would if its process were not starting again.
        compared: the compiled model that is shown beside it.
        is_healthy: whether there is a process that requests can be sent to.
        draining: set once no request is under way at the process that falls asleep; None where
            none does.
        published: what the workers serve now, or in a moment.
        status: the contents of `/model`, but for what `active` knows of itself.
    """

    def __init__(
        self, reference: ModelReference, settings: Settings, pool: WorkerPool, redactor: Redactor
    ) -> None:
        self._csv = settings.csv
        # Of all workers together, as many as there are processes behind the one port.
        self._slots = -(-settings.command.workers // settings.workers)
        self._pool = pool
        self._name = reference.name
        self._hold = self._asleep = False
        self._is_gone = False
        self._redactor = redactor
        self.published = Prepare()
        self.is_healthy = False
        self.draining: asyncio.Event | None = None
        self.active: Deployment | None = None
        self.compared: LaneTarget | None = None
        self.status = Status(reference, redactor, self.publish)
        self.publish()

    def serve_by_lane(self, deployment: Deployment) -> None:
        """The lane answers; requests for the process wait until that has started."""
        self.active = deployment
        self.process_ended()

    def serve_by_process(self, deployment: Deployment) -> None:
        """A process of `deployment` has started and answers from now on."""
        deployment.generation = next(self._pool.generations)
        if self.active is not None:
            deployment.was_needed |= self.active.was_needed
        self.active = deployment
        self.process_stays()

    def serve_asleep(self, deployment: Deployment) -> None:
        """Its process starts when a request needs it; so far it never did."""
        self.active = deployment
        self.is_healthy, self._hold, self._asleep = False, True, True

    def process_stays(self) -> None:
        """Its process answers from now on. The next change of the status publishes it."""
        assert self.active is not None
        self.active.last_used = asyncio.get_running_loop().time()
        self.is_healthy, self._hold, self._asleep, self.draining = True, False, False, None

    def process_ended(self) -> None:
        """Requests for the process wait. The next change of the status publishes it."""
        self.is_healthy, self._hold, self._asleep, self.draining = False, True, False, None

    def process_sleeps(self) -> None:
        """No more requests go to the process; one for it asks for it, and waits."""
        self.draining = self.drained()
        self.is_healthy, self._hold, self._asleep = False, True, True
        self.status.asleep()

    def stop_holding(self) -> None:
        """No request waits for the process any longer."""
        self._hold = False
        self.publish()

    def open_lane(self, deployment: Deployment) -> asyncio.Task[None]:
        """Compare answers with the healthy process's: the compiled model's, and rows' together.

        What is equal opens: the lane, and batching. A comparison with the process of before comes
        to its end first; what that came to a verdict on is not compared again.
        """
        before = deployment.opening

        async def open_both() -> None:
            if before is not None:
                with contextlib.suppress(Exception):
                    await before
            if deployment.opener is not None:
                await self._open_lane(deployment)
            if deployment.batch_opener is not None and deployment.batching == COMPARING:
                await self._open_batching(deployment, deployment.batch_opener)

        deployment.opening = asyncio.create_task(open_both())
        return deployment.opening

    async def _open_lane(self, deployment: Deployment) -> None:
        if not await deployment.compare_lane():
            return
        name = self.status.full_title(deployment.version)
        if deployment.lane.is_open:
            logger.info("the fast lane of %s is open", name)
        else:
            logger.warning("the fast lane of %s stays shut: %s", name, deployment.lane.why)
        self.publish()

    async def _open_batching(self, deployment: Deployment, opener: BatchOpener) -> None:
        verdict = await opener.check(deployment.server.port)
        if verdict is None:
            # The process ended; another one is compared when it is there.
            return
        deployment.batching = verdict
        name = self.status.full_title(deployment.version)
        if verdict.is_open:
            logger.info("requests for %s that wait go together", name)
        else:
            logger.info("requests for %s go one by one: %s", name, verdict.why)
        self.publish()

    def batching_failed(self, version: str, why: str) -> None:
        """A worker saw an answer to a joint request that is not one for each row."""
        active = self.active
        if active is None or active.version.label != version or not active.batching.is_open:
            return
        active.batching = Verdict("shut", why)
        if active.batch_opener is not None:
            active.batch_opener.keep_shut(why)
        name = self.status.full_title(active.version)
        logger.warning("requests for %s go one by one from now on: %s", name, why)
        self.publish()

    def in_use(self, generation: int) -> None:
        """Its process had requests just now, if it is of that generation."""
        if self.active is not None and self.active.generation == generation:
            self.active.last_used = asyncio.get_running_loop().time()
            self.active.was_needed = True

    @property
    def is_ready(self) -> bool:
        """Whether a request would be answered now."""
        return bool(self.published.target or self.published.lane or self.published.asleep)

    def end(self) -> None:
        """The model is not served any more, and nothing of it is published from now on."""
        self._is_gone = True
        self._pool.publish(Prepare(name=self._name, is_gone=True))

    def drained(self) -> asyncio.Event | None:
        """Set once no worker has a request at the process that is about to be replaced.

        None where there is none, or where it is dead: no worker has a request there, or will say
        so.
        """
        if self.active is not None and self.is_healthy:
            return self._pool.drained(self.active.generation)
        return self.draining

    def publish(self) -> None:
        """Have the workers serve the current state, where it is another than before."""
        if self._is_gone:
            return
        active = self.active
        shown = active.shown(self._csv, self._redactor) if active else {}
        change = Prepare(
            name=self._name,
            target=active.target() if active and self.is_healthy else None,
            model=self.status.to_json() | shown,
            hold=self._hold,
            asleep=self._asleep,
            lane=active.lane_target(self._csv) if active else None,
            batching=active.batching_target(self._slots) if active else None,
            compared=self.compared,
        )
        if change != self.published:
            self.published = change
            self._pool.publish(change)
