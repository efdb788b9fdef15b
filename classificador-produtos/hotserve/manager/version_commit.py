"""The manager's side of an agreement: tells the workers what comes, then that it counts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from hotserve.ipc.channel import Channel
from hotserve.ipc.shared_version import Agreement

_PATIENCE = 10.0
"""Seconds for the workers to make ready; one that is slower (or stopped) follows when it can."""


class Announcements:
    """Changes take effect in all workers at once, in the order in which they were announced.

    Args:
        channels: to the workers that run now, by pid.
        first: what counts from the beginning.
    """

    def __init__(self, channels: Mapping[int, Channel], first: Mapping[str, Any]) -> None:
        self.agreement = Agreement.create()
        self._channels = channels
        self._news: deque[dict[str, Any]] = deque([{**first, "number": 0}])
        self._heard: dict[int, int] = {}

    @property
    def open(self) -> Sequence[Mapping[str, Any]]:
        """What counts now, and what will."""
        return self._news

    def announce(self, news: Mapping[str, Any]) -> None:
        """Have it count as soon as every worker is ready for it."""
        number = self._news[-1]["number"] + 1
        self._news.append({**news, "number": number})
        for channel in self._channels.values():
            channel.send("serving", **self._news[-1])
        if self._heard:
            asyncio.get_running_loop().call_later(_PATIENCE, self._agree, number)
        self._agree_on_what_all_heard()

    def joined(self, worker: int) -> None:
        """A worker is there; it hears what counts, and what is announced.

        Nobody waits for it while it begins. What it hears first when it has begun is that it
        counts as one of those who agree; it takes no request before.
        """
        for news in self._news:
            self._channels[worker].send("serving", **news)

    def heard(self, worker: int, number: int) -> None:
        """A worker is ready for the news of that number."""
        if worker not in self._heard:
            self._channels[worker].send("agreed")
        self._heard[worker] = number
        self._agree_on_what_all_heard()

    def gone(self, worker: int) -> None:
        """A worker is no more; nobody waits for it."""
        self._heard.pop(worker, None)
        self._agree_on_what_all_heard()

    def _agree_on_what_all_heard(self) -> None:
        self._agree(min(self._heard.values(), default=self._news[-1]["number"]))

    def _agree(self, number: int) -> None:
        if number <= self.agreement.number:
            return
        self.agreement.number = number
        while self._news[0]["number"] < number:
            self._news.popleft()
        # A worker looks before each answer; this is for those that wait, or have none to give.
        for worker in self._heard:
            self._channels[worker].send("agreed")
