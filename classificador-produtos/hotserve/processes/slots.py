"""How many models' processes may run at a time, and in how much memory.

For one more, one that is idle goes to sleep; where none is, they take turns.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol

from hotserve.processes.memory import memory_of

_LONGEST_TURN = 30.0
"""Seconds that a start may keep others from starting; one that hangs keeps nobody longer."""
_LOOK = 1.0
"""Seconds until it is looked again for one that may sleep, and at the memory of all."""
_IDLE = 2.0
"""Seconds without a request after which a process counts as idle; workers say every second."""
STAY = 5.0
"""Seconds that a process which is not idle keeps its slot while others wait for one."""


class Sleeper(Protocol):
    """Somebody whose process can go to sleep, and start again when it is needed.

    Attributes:
        last_used: when it was last known to have a request, in seconds of the loop.
    """

    @property
    def last_used(self) -> float: ...

    @property
    def is_falling_asleep(self) -> bool:
        """Whether it was sent to sleep, and goes on."""
        ...

    def may_sleep(self) -> bool:
        """Whether it could do so now, and was not sent to sleep before."""
        ...

    def sleep(self, *, in_use: bool = False) -> None:
        """Do so, once no request is under way there.

        Args:
            in_use: requests that come meanwhile wait, where they would have it stay otherwise.
        """
        ...


class Holder(Protocol):
    """Somebody whose process needs a slot.

    Attributes:
        pid: of the process; 0 before there is one.
        memory: bytes that it took when it was last looked at; 0 before.
        sleeper: who may be sent to sleep, if somebody may.
    """

    memory: int
    sleeper: Sleeper | None

    @property
    def pid(self) -> int: ...


class ProcessSlots:
    """Slots for processes.

    One that has none waits in a line: who came first is first. The memory of a process that is
    starting is not known yet. It counts as what it had before, or as the others have on average.

    Args:
        most: how many there are; None: as many as are wanted.
        turns: how many may do at a time what takes a whole core, as a start does; None: all.
        most_memory: bytes that the processes may take together; one may always run.
        measure: bytes that each of these processes takes.
    """

    def __init__(
        self,
        most: int | None = None,
        turns: int | None = None,
        most_memory: int | None = None,
        measure: Callable[[Iterable[int]], Awaitable[dict[int, int]]] = memory_of,
    ) -> None:
        self.are_few = most is not None
        self._most = most
        self._most_memory = most_memory
        self._measure = measure
        self._holders: dict[Holder, float] = {}  # since when
        self._starting: set[Holder] = set()
        self._line: list[Holder] = []
        self._full_since: float | None = None
        self._changed = asyncio.Event()
        self._turns = asyncio.Semaphore(turns) if turns is not None else None
        self._next_fetch = asyncio.Lock()

    async def take(self, holder: Holder) -> None:
        """Wait for a slot; nothing to wait for where `holder` has one.

        While there is none, the process whose last request is longest ago is sent to sleep. Where
        that has requests again and again, one makes room all the same after a while: the one that
        has had its slot for longest.
        """
        if self._most is None or holder in self._holders:
            return
        self._line.append(holder)
        try:
            while holder is not self._line[0] or not self._has_room(self._holders, [holder]):
                self._make_room()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await self._changed.wait()
            self._holders[holder] = _now()
        finally:
            self._line.remove(holder)
            if not self._line:
                self._full_since = None
            self._wake()

    def give_back(self, holder: Holder) -> None:
        """Its process is gone."""
        if self._holders.pop(holder, None) is not None:
            self._wake()

    @contextlib.asynccontextmanager
    async def turn(self, holder: Holder | None = None) -> AsyncIterator[None]:
        """Wait for a turn, and have it as long as the context lasts, or as turns last.

        Without a `holder` it is for a fetch. A `holder` that takes longer has no slot either, until
        it has come to its end.
        """
        if self._turns is None:
            yield
            return
        # One fetch at most is in the line: a process that starts need not wait for those of all
        # models, so what is fetched is soon served, and who sleeps is awake in a moment.
        async with self._next_fetch if holder is None else contextlib.nullcontext():
            await self._turns.acquire()
        # Closed twice it is released once.
        held = contextlib.ExitStack()
        held.callback(self._turns.release)

        def end() -> None:
            held.close()
            if holder is not None:
                self.give_back(holder)

        late = asyncio.get_running_loop().call_later(_LONGEST_TURN, end)
        if holder is not None:
            self._starting.add(holder)
        try:
            yield
        finally:
            late.cancel()
            held.close()
            if holder is not None:
                self._starting.discard(holder)
        if holder is not None:
            await self.take(holder)
            self._holders[holder] = _now()

    async def watch(self) -> None:
        """Look at the memory of all again and again; never returns."""
        while True:
            running = {each.pid: each for each in self._holders if each.pid}
            for pid, size in (await self._measure(running)).items():
                holder = running[pid]
                if size and holder in self._holders and holder not in self._starting:
                    holder.memory = size
            self._make_room()
            await asyncio.sleep(_LOOK)

    def memory_used(self, holder: Holder) -> int:
        """Bytes that its process took when it was last looked at; 0 where it has none."""
        return holder.memory if holder in self._holders else 0

    def _has_room(self, holders: Iterable[Holder], more: Iterable[Holder]) -> bool:
        """Whether all of these can run at a time."""
        wanted = [*holders, *more]
        if len(wanted) < 2 or self._most is None:
            return True
        if self._most_memory is None:
            return len(wanted) <= self._most
        known = [each.memory for each in self._holders if each.memory]
        others = sum(known) // len(known) if known else 0
        memory = sum(each.memory or others for each in wanted)
        return len(wanted) <= self._most and memory <= self._most_memory

    def _make_room(self) -> None:
        """Send to sleep whoever has to make room, and wait for those that were sent before."""
        if self._has_room(self._holders, self._line):
            self._full_since = None
            return
        staying = [
            each
            for each in self._holders
            if each.sleeper is None or not each.sleeper.is_falling_asleep
        ]
        if self._has_room(staying, self._line):
            return
        now = _now()
        if self._full_since is None:
            self._full_since = now
        able = {
            each: sleeper
            for each in staying
            if (sleeper := each.sleeper) is not None and sleeper.may_sleep()
        }
        idle = [each for each, sleeper in able.items() if now - sleeper.last_used >= _IDLE]
        idle.sort(key=lambda each: able[each].last_used)
        in_use = [each for each in able if each not in idle and now - self._holders[each] >= STAY]
        in_use.sort(key=lambda each: self._holders[each])
        if now - self._full_since < STAY:
            in_use.clear()
        for each in (*idle, *in_use):
            able[each].sleep(in_use=each in in_use)
            staying.remove(each)
            if self._has_room(staying, self._line):
                return

    def _wake(self) -> None:
        """Have everybody in the line look whether it is their turn."""
        self._changed.set()
        self._changed = asyncio.Event()


def _now() -> float:
    return asyncio.get_running_loop().time()
