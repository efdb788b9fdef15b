"""What a front worker knows of the model that is served, and which requests are under way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hotserve.ipc.shared_version import Agreement
from hotserve.ipc.target import Target
from hotserve.worker.fast_lane import FastLane


@dataclass(frozen=True, slots=True)
class News:
    """What the manager says is to be served.

    Attributes:
        number: counts the news.
        target: where requests go; None while no process is healthy.
        model: the JSON object of `/model`.
        hold: whether a process is on its way back, so that requests should wait for it.
        lane: the fast lane of the version that is served, if it is open.
    """

    number: int = -1
    target: Target | None = None
    model: dict[str, Any] = field(default_factory=dict)
    hold: bool = False
    lane: FastLane | None = None


class Serving:
    """What counts at the moment, of all that the manager told; and which requests are under way.

    Attributes:
        heard: the last news; they count as soon as every worker has heard them.
    """

    def __init__(self, on_idle: Callable[[int], None], agreement: Agreement) -> None:
        self._agreed = agreement.words
        self._now = self.heard = News()
        self._waiting: list[News] = []
        self._in_flight: Counter[int] = Counter()
        self._on_idle = on_idle
        self._changed = asyncio.Event()

    def hear(self, news: News) -> None:
        """Take what the manager says, and be ready to go by it."""
        self.heard = news
        self._waiting.append(news)
        self.now()

    def now(self) -> News:
        """What every worker goes by; to be asked anew for each answer."""
        if self._now.number != self._agreed[0] and self._waiting:
            self._catch_up(self._agreed[0])
        return self._now

    def _catch_up(self, agreed: int) -> None:
        while self._waiting and self._waiting[0].number <= agreed:
            before, self._now = self._now.target, self._waiting.pop(0)
            if before not in (None, self._now.target) and not self._in_flight[before.generation]:
                self._on_idle(before.generation)
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_until_not(self, target: Target | None, give_up: float) -> None:
        """Return when requests no longer go to `target`, or at `give_up` (monotonic seconds)."""
        while (news := self.now()).target == target and (target or news.hold):
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
            current = self._now.target
            if current is None or current.generation != generation:
                self._on_idle(generation)
