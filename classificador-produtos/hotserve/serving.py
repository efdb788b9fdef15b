"""What a front worker knows of the model that is served, and which requests are under way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hotserve.fast_lane import FastLane
from hotserve.target import Target


class Serving:
    """What the manager told this worker, and which requests are under way.

    Attributes:
        target: where requests go; None while no process is healthy.
        model: the JSON object of `/model`.
        hold: whether a process is on its way back, so that requests should wait for it.
        lane: the fast lane of the version that is served, if it is open.
    """

    def __init__(self, on_idle: Callable[[int], None]) -> None:
        self.target: Target | None = None
        self.model: dict[str, Any] = {}
        self.hold = False
        self.lane: FastLane | None = None
        self._in_flight: Counter[int] = Counter()
        self._on_idle = on_idle
        self._changed = asyncio.Event()

    def tell(
        self, target: Target | None, model: dict[str, Any], hold: bool, lane: FastLane | None
    ) -> None:
        """Take what the manager says now."""
        before, self.target = self.target, target
        self.model, self.hold, self.lane = model, hold, lane
        self._changed.set()
        self._changed = asyncio.Event()
        if before is not None and before != target and not self._in_flight[before.generation]:
            self._on_idle(before.generation)

    async def wait_until_not(self, target: Target | None, give_up: float) -> None:
        """Return when requests no longer go to `target`, or at `give_up` (monotonic seconds)."""
        while self.target == target and (target or self.hold):
            left = give_up - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    def begin(self, target: Target) -> None:
        """Count a request that goes to `target`."""
        self._in_flight[target.generation] += 1

    def end(self, target: Target) -> None:
        """Count its end; the manager hears when an old process has nothing more to do."""
        generation = target.generation
        self._in_flight[generation] -= 1
        if not self._in_flight[generation]:
            del self._in_flight[generation]
            if self.target is None or self.target.generation != generation:
                self._on_idle(generation)
