"""Changes in two steps: every worker prepares a change, then all of them serve it at once."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hotserve.ipc.channel import Channel
from hotserve.ipc.messages import Commit, Prepare
from hotserve.ipc.shared_version import SharedVersion

_ACKNOWLEDGE_SECONDS = 10.0
"""For the workers to prepare; one that is slower (or stopped) follows when it can."""


class VersionCommit:
    """Changes are committed in the order in which they were prepared.

    Args:
        channels: to the workers that run now, by pid.

    Attributes:
        shared: the memory that says what is committed.
    """

    def __init__(self, channels: Mapping[int, Channel]) -> None:
        self.shared = SharedVersion.create()
        self._channels = channels
        self._last = 0
        # Of each model the change that is committed; those that not every worker acknowledged.
        self._committed: dict[str, Prepare] = {}
        self._changes: deque[Prepare] = deque()
        self._acknowledged: dict[int, int] = {}

    def prepare(self, change: Prepare) -> None:
        """Commit `change` (its number is set here) as soon as every worker is ready for it."""
        self._last += 1
        change = replace(change, number=self._last)
        self._changes.append(change)
        for channel in self._channels.values():
            channel.send(change)
        if self._acknowledged:
            loop = asyncio.get_running_loop()
            loop.call_later(_ACKNOWLEDGE_SECONDS, self._commit, change.number)
        self._commit_what_all_acknowledged()

    def joined(self, worker: int) -> None:
        """Send a new worker what is committed and what is prepared.

        Nobody waits for it while it begins: it takes no request before its first `Commit`, which
        tells it that it is one of those who are waited for.
        """
        for change in [*self._committed.values(), *self._changes]:
            self._channels[worker].send(change)

    def acknowledged(self, worker: int, number: int) -> None:
        """A worker is ready for the change of that number, and for those before."""
        if worker not in self._acknowledged:
            # Behind all that it was sent when it joined, so that it takes that first.
            self._channels[worker].send(Commit())
        self._acknowledged[worker] = number
        self._commit_what_all_acknowledged()

    def gone(self, worker: int) -> None:
        """A worker ended; nobody waits for it."""
        self._acknowledged.pop(worker, None)
        self._commit_what_all_acknowledged()

    def generations(self) -> set[int]:
        """Of the server processes that a worker may send requests to, now or soon."""
        changes = [*self._committed.values(), *self._changes]
        return {change.target.generation for change in changes if change.target}

    def _commit_what_all_acknowledged(self) -> None:
        self._commit(min(self._acknowledged.values(), default=self._last))

    def _commit(self, number: int) -> None:
        if number <= self.shared.words[0]:
            return
        self.shared.words[0] = number
        while self._changes and self._changes[0].number <= number:
            change = self._changes.popleft()
            # In the order of their numbers, as workers acknowledge them.
            self._committed.pop(change.name, None)
            if not change.is_gone:
                self._committed[change.name] = change
        # A worker looks before each answer; this is for those that wait, or have none to give.
        for worker in self._acknowledged:
            self._channels[worker].send(Commit())


class Awaited:
    """Which workers are waited for, by the number of what they have to do."""

    def __init__(self) -> None:
        self._missing: dict[int, tuple[set[int], asyncio.Event]] = {}

    def begin(self, number: int, workers: Iterable[int]) -> asyncio.Event:
        """An event that is set once each of `workers` has done it, or ended."""
        missing, done = self._missing[number] = set(workers), asyncio.Event()
        if not missing:
            self._finish()
        return done

    def joined(self, worker: int, numbers: Iterable[int]) -> None:
        """A new worker has to do these, too."""
        for number in self._missing.keys() & numbers:
            self._missing[number][0].add(worker)

    def done(self, worker: int, number: int) -> None:
        """A worker has done it."""
        if number in self._missing:
            self._missing[number][0].discard(worker)
        self._finish()

    def gone(self, worker: int) -> None:
        """A worker ended."""
        for missing, _ in self._missing.values():
            missing.discard(worker)
        self._finish()

    def _finish(self) -> None:
        for number, (missing, done) in [*self._missing.items()]:
            if not missing:
                del self._missing[number]
                done.set()
