"""Slots for the models' processes: who waits, and who goes to sleep for another."""

import asyncio

from hotserve.processes.slots import ProcessSlots
from tests.support.fake_clock import fake_clock, now


class Process:
    """A process that goes to sleep two seconds after it was asked to."""

    def __init__(self, slots: ProcessSlots, last_used: float, *, able: bool = True) -> None:
        self._slots = slots
        self.last_used = last_used
        self.able = able
        self.asked: list[float] = []
        self._going: asyncio.Task[None] | None = None
        slots.sleepers[self] = self

    @property
    def is_told_to_sleep(self) -> bool:
        return bool(self.asked)

    def may_sleep(self) -> bool:
        return self.able and not self.asked

    def sleep(self) -> None:
        self.asked.append(now())

        async def go() -> None:
            await asyncio.sleep(2)
            await self._slots.give_back(self)

        self._going = asyncio.create_task(go())


@fake_clock
async def test_as_many_as_are_wanted_where_nothing_else_is_said() -> None:
    slots = ProcessSlots()
    for _ in range(100):
        await slots.take(object())
    assert not slots.are_few
    async with slots.turn(), slots.turn():
        assert now() == 0


@fake_clock
async def test_the_least_recently_used_makes_room() -> None:
    slots = ProcessSlots(3)
    processes = [Process(slots, used) for used in (30.0, 10.0, 20.0)]
    for process in processes:
        await slots.take(process)
        await slots.take(process)
    await slots.take("a fourth")
    assert now() == 2
    assert [bool(each.asked) for each in processes] == [False, True, False]
    await slots.take("a fifth")
    assert [bool(each.asked) for each in processes] == [False, True, True]
    # Both at once, where two wait.
    slots = ProcessSlots(2)
    processes = [Process(slots, used) for used in (30.0, 10.0)]
    for process in processes:
        await slots.take(process)
    begun = now()
    await asyncio.gather(slots.take("x"), slots.take("y"))
    assert now() - begun <= 3


@fake_clock
async def test_who_can_not_sleep_is_waited_for() -> None:
    slots = ProcessSlots(1)
    busy = Process(slots, 1.0, able=False)
    await slots.take(busy)
    waiting = asyncio.create_task(slots.take("another"))
    await asyncio.sleep(50)
    assert not waiting.done()
    busy.able = True
    await waiting
    assert 50 <= busy.asked[0] <= 51


@fake_clock
async def test_who_gives_up_waiting_takes_no_slot() -> None:
    slots = ProcessSlots(1)
    await slots.take("one")
    waiting = asyncio.create_task(slots.take("another"))
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    await slots.give_back("one")
    await slots.give_back("one")
    await slots.take("a third")
    assert not waiting.done() or waiting.cancelled()


@fake_clock
async def test_turns_are_few_and_end_by_themselves() -> None:
    slots = ProcessSlots(10, turns=1)
    ended: list[float] = []

    async def start(seconds: float) -> None:
        async with slots.turn():
            await asyncio.sleep(seconds)
        ended.append(now())

    await asyncio.gather(start(5), start(100), start(5), start(5))
    # The second one hangs, and the others wait for it no longer than a turn lasts.
    assert ended == [5, 40, 45, 105]


@fake_clock
async def test_starts_that_hang_keep_nobody_from_a_slot_for_long() -> None:
    slots = ProcessSlots(1, turns=2)

    async def start(holder: str, seconds: float) -> float:
        await slots.take(holder)
        async with slots.turn(holder):
            await asyncio.sleep(seconds)
        return now()

    hanging = asyncio.create_task(start("hangs", 100))
    await asyncio.sleep(1)
    assert await start("another", 5) <= 36
    # It is there after all, and takes its place when there is one.
    await asyncio.sleep(80)
    assert not hanging.done()
    await slots.give_back("another")
    await hanging
    waiting = asyncio.create_task(slots.take("a third"))
    await asyncio.sleep(5)
    assert not waiting.done()
    waiting.cancel()
