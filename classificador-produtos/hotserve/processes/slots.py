"""How many models' processes may run at a time; for one more, one that is idle goes to sleep."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

_LONGEST_TURN = 30.0
"""Seconds that a start may keep others from starting; one that hangs keeps nobody longer."""
_LOOK = 1.0
"""Seconds until it is looked again for one that may sleep."""


class Sleeper(Protocol):
    """Somebody whose process can go to sleep, and start again when it is needed.

    Attributes:
        last_used: when it was last known to have a request, in seconds of the loop.
    """

    @property
    def last_used(self) -> float: ...

    @property
    def is_told_to_sleep(self) -> bool:
        """Whether it was, and nobody has needed it since."""
        ...

    def may_sleep(self) -> bool:
        """Whether it could do so now, and was not told to."""
        ...

    def sleep(self) -> None:
        """Do so, once no request is under way there."""
        ...


class ProcessSlots:
    """Slots for processes.

    Args:
        most: how many there are; None: as many as are wanted.
        turns: how many may do at a time what takes a whole core, as a start does; None: all.

    Attributes:
        sleepers: who may be sent to sleep, by what holds a slot.
    """

    def __init__(self, most: int | None = None, turns: int | None = None) -> None:
        self.are_few = most is not None
        self.sleepers: dict[object, Sleeper] = {}
        self._most = most
        self._holders: set[object] = set()
        self._waiting = 0
        self._freed = asyncio.Condition()
        self._turns = asyncio.Semaphore(turns) if turns is not None else None

    async def take(self, holder: object) -> None:
        """Wait for a slot; nothing to wait for where `holder` has one.

        While there is none, the process whose last request is longest ago is sent to sleep.
        """
        if self._most is None or holder in self._holders:
            return
        async with self._freed:
            self._waiting += 1
            try:
                while len(self._holders) >= self._most:
                    self._make_room()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._freed.wait(), _LOOK)
            finally:
                self._waiting -= 1
            self._holders.add(holder)

    async def give_back(self, holder: object) -> None:
        """Its process is gone."""
        if holder in self._holders:
            async with self._freed:
                self._holders.discard(holder)
                self._freed.notify()

    @contextlib.asynccontextmanager
    async def turn(self, holder: object = None) -> AsyncIterator[None]:
        """Wait for a turn, and have it as long as the context lasts, or as turns last.

        A `holder` that takes longer has no slot either, until it has come to its end.
        """
        if self._turns is None:
            yield
            return
        await self._turns.acquire()
        release = _Once(self._turns)

        async def end() -> None:
            await asyncio.sleep(_LONGEST_TURN)
            release()
            await self.give_back(holder)

        late = asyncio.create_task(end())
        try:
            yield
        finally:
            late.cancel()
            release()
        if holder is not None:
            await self.take(holder)

    def _make_room(self) -> None:
        running = [each for holder, each in self.sleepers.items() if holder in self._holders]
        going = sum(each.is_told_to_sleep for each in running)
        able = [each for each in running if each.may_sleep()]
        if able and going < self._waiting:
            min(able, key=lambda each: each.last_used).sleep()


class _Once:
    """Releases a semaphore, the first time that it is called."""

    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self._semaphore: asyncio.Semaphore | None = semaphore

    def __call__(self) -> None:
        semaphore, self._semaphore = self._semaphore, None
        if semaphore is not None:
            semaphore.release()
