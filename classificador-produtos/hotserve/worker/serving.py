"""What a front worker serves at the moment, and which requests are under way."""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hotserve.ipc.messages import Prepare, Target
from hotserve.ipc.shared_version import SharedVersion
from hotserve.worker.fast_lane import FastLane


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change that the manager has told, with its lanes opened."""

    change: Prepare = field(default_factory=Prepare)
    lane: FastLane | None = None
    compared: FastLane | None = None


class Serving:
    """What is committed, of all that was prepared; and which requests are under way.

    Args:
        on_idle: called with the generation of a replaced process that has no request left.
        on_needed: called where a request waits for a process that sleeps.

    Attributes:
        prepared: what was prepared last; it is served as soon as it is committed.
    """

    def __init__(
        self,
        on_idle: Callable[[int], None],
        on_needed: Callable[[], None],
        shared: SharedVersion,
    ) -> None:
        self._committed = shared.words
        self._now = self.prepared = Prepared()
        self._number = self._now.change.number
        self._waiting: deque[Prepared] = deque()
        self._in_flight: Counter[int] = Counter()
        self._used: set[int] = set()
        self._on_idle = on_idle
        self._on_needed = on_needed
        self._changed = asyncio.Event()

    def prepare(self, prepared: Prepared) -> None:
        """Be ready to serve that."""
        self.prepared = prepared
        self._waiting.append(prepared)
        self.now()

    def now(self) -> Prepared:
        """What every worker serves; to be asked again for each answer."""
        if self._number != self._committed[0] and self._waiting:
            self._catch_up(self._committed[0])
        return self._now

    @property
    def is_over(self) -> bool:
        """Whether the model is gone, and does not come back with what is prepared."""
        return self.now().change.is_gone and not self._waiting and not self._in_flight

    def _catch_up(self, committed: int) -> None:
        while self._waiting and self._waiting[0].change.number <= committed:
            before, self._now = self._now.change.target, self._waiting.popleft()
            if before is None or before == self._now.change.target:
                continue
            if not self._in_flight[before.generation]:
                self._on_idle(before.generation)
        self._number = self._now.change.number
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_until_not(self, target: Target | None, give_up: float) -> None:
        """Return when requests no longer go to `target`, or at `give_up` (monotonic seconds).

        A process that sleeps is woken.
        """
        while (now := self.now().change).target == target and (target or now.hold):
            if now.asleep:
                self._on_needed()
            left = give_up - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    def begin(self, target: Target) -> None:
        """Count a request that goes to `target`."""
        self._used.add(target.generation)
        self._in_flight[target.generation] += 1

    def end(self, target: Target) -> None:
        """Count its end, and notice when a replaced process has no request left."""
        generation = target.generation
        self._in_flight[generation] -= 1
        if not self._in_flight[generation]:
            del self._in_flight[generation]
            active = self._now.change.target
            if active is None or active.generation != generation:
                self._on_idle(generation)

    def take_used(self) -> set[int]:
        """The generations of processes that had a request since the last call, or have one."""
        used, self._used = self._used | self._in_flight.keys(), set()
        return used
