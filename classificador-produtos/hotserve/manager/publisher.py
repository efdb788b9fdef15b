"""Who answers: the version that is served, whether its process lives, and telling the workers."""

from __future__ import annotations

import asyncio

from hotserve.config.model_uri import ModelReference
from hotserve.manager.deployment import Served
from hotserve.manager.status import Status
from hotserve.manager.worker_pool import WorkerPool


class Answering:
    """What the front workers go by; they are told again whenever the status changes.

    Attributes:
        served: the version that answers, or would if its process were not starting again.
        status: what `/model` tells.
    """

    def __init__(self, reference: ModelReference, csv: str) -> None:
        self._csv = csv
        self._pool: WorkerPool | None = None
        self._hold = False
        self._generation = 0
        self._healthy = False
        self.served: Served | None = None
        self.status = Status(reference, self.publish)

    def use(self, pool: WorkerPool) -> None:
        """The workers to tell."""
        self._pool = pool
        self.publish()

    def by_lane(self, served: Served) -> None:
        """The lane of `served` answers; requests for its process wait until that has started."""
        self.served = served
        self._healthy, self._hold = False, True

    def by_process(self, served: Served) -> None:
        """A process of `served` has started and answers from now on."""
        self._generation += 1
        served.generation = self._generation
        self.served = served
        self._healthy, self._hold = True, False

    def retired(self, served: Served) -> asyncio.Event:
        """Set once no worker has a request at the process of `served`, which was just replaced."""
        assert self._pool is not None
        return self._pool.retired(served.generation)

    def process_ended(self) -> None:
        """The process is gone; requests for it wait. The next change of the status tells it."""
        self._healthy, self._hold = False, True

    @property
    def is_healthy(self) -> bool:
        """Whether there is a process that requests can be sent to."""
        return self._healthy

    def let_go(self) -> None:
        """No request waits for the process any longer."""
        self._hold = False
        self.publish()

    def tell_lane(self) -> None:
        """What `/model` says of the lane of the version that answers."""
        assert self.served is not None
        self.status.lane(self.served.told_lane(self._csv))

    def publish(self) -> None:
        """Tell the workers."""
        if self._pool is None:
            return
        served = self.served
        target = served.target().to_json() if served and self._healthy else None
        lane = served.lane_target(self._csv) if served else None
        self._pool.publish(
            target, self.status.to_json(), self._hold, lane.to_json() if lane else None
        )
