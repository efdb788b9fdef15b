"""Slots for the models' processes: who waits, and who goes to sleep for another."""

import asyncio
import os
from collections.abc import Iterable
from itertools import count, pairwise

import pytest

from hotserve.processes.memory import memory_of
from hotserve.processes.slots import STAY, Holder, ProcessSlots, Sleeper
from tests.support.fake_clock import fake_clock, now

_pids = count(1)
MB = 1 << 20


class Server:
    """What takes a slot."""

    def __init__(self) -> None:
        self.pid = next(_pids)
        self.memory = 0
        self.sleeper: Sleeper | None = None


class Process(Server):
    """A process that goes to sleep two seconds after it was asked to.

    One that is `busy` has requests all the time; told gently, it stays for the next one.
    """

    def __init__(
        self, slots: ProcessSlots, last_used: float = -100.0, *, able: bool = True
    ) -> None:
        super().__init__()
        self._slots = slots
        self._last_used = last_used
        self.able = able
        self.busy = False
        self.asked: list[float] = []
        self.made_room: list[float] = []
        self.is_falling_asleep = False
        self.gone = asyncio.Event()
        self._going: asyncio.Task[None] | None = None
        self.sleeper = self

    @property
    def last_used(self) -> float:
        return now() if self.busy else self._last_used

    def may_sleep(self) -> bool:
        return self.able and not self.is_falling_asleep

    def sleep(self, *, in_use: bool = False) -> None:
        (self.made_room if in_use else self.asked).append(now())
        self.is_falling_asleep = True

        async def go() -> None:
            await asyncio.sleep(2)
            self.is_falling_asleep = False
            if in_use or not self.busy:
                self._slots.give_back(self)
                self.gone.set()

        self._going = asyncio.create_task(go())


@fake_clock
async def test_as_many_as_are_wanted_where_nothing_else_is_said() -> None:
    slots = ProcessSlots()
    for _ in range(100):
        await slots.take(Server())
    assert not slots.are_few
    async with slots.turn(), slots.turn():
        assert now() == 0


@fake_clock
async def test_the_least_recently_used_makes_room() -> None:
    slots = ProcessSlots(3)
    processes = [Process(slots, used) for used in (-10.0, -30.0, -20.0)]
    for process in processes:
        await slots.take(process)
        await slots.take(process)
    await slots.take(Server())
    assert now() == 2
    assert [bool(each.asked) for each in processes] == [False, True, False]
    await slots.take(Server())
    assert [bool(each.asked) for each in processes] == [False, True, True]
    # Both at once, where two wait.
    slots = ProcessSlots(2)
    processes = [Process(slots, used) for used in (-10.0, -30.0)]
    for process in processes:
        await slots.take(process)
    begun = now()
    await asyncio.gather(slots.take(Server()), slots.take(Server()))
    assert now() - begun <= 3


@fake_clock
async def test_who_can_not_sleep_is_waited_for() -> None:
    slots = ProcessSlots(1)
    compared = Process(slots, able=False)
    await slots.take(compared)
    waiting = asyncio.create_task(slots.take(Server()))
    await asyncio.sleep(50)
    assert not waiting.done()
    compared.able = True
    await waiting
    assert 50 <= compared.asked[0] <= 51


@fake_clock
async def test_who_has_requests_all_the_time_makes_room_after_a_while() -> None:
    slots = ProcessSlots(2)
    first, second = Process(slots), Process(slots)
    await slots.take(first)
    await asyncio.sleep(1)
    await slots.take(second)
    first.busy = second.busy = True
    await asyncio.sleep(100)
    assert (first.asked, first.made_room) == ([], []), "nobody waits"
    await slots.take(Server())
    assert first.made_room == [pytest.approx(101 + STAY, abs=1)]
    assert second.made_room == []
    # Later it is the same again, and not at once.
    await asyncio.sleep(100)
    begun = now()
    await slots.take(Server())
    assert second.made_room == [pytest.approx(begun + STAY, abs=1)]
    assert (first.asked, second.asked) == ([], [])


@fake_clock
async def test_models_that_are_all_asked_all_the_time_take_turns() -> None:
    slots = ProcessSlots(1)
    turns: list[tuple[float, int]] = []

    async def live(name: int) -> None:
        process = Process(slots)
        process.busy = True
        while True:
            await slots.take(process)
            turns.append((now(), name))
            await process.gone.wait()
            process.gone.clear()

    living = [asyncio.create_task(live(name)) for name in range(3)]
    await asyncio.sleep(100)
    for each in living:
        each.cancel()
    assert [name for _, name in turns[:9]] == [0, 1, 2] * 3
    lengths = {round(after - begun) for (begun, _), (after, _) in pairwise(turns)}
    assert lengths <= {round(STAY) + 2, round(STAY) + 3}


@fake_clock
async def test_an_idle_one_goes_before_one_in_use_however_long_others_wait() -> None:
    slots = ProcessSlots(2)
    busy, idle = Process(slots), Process(slots, able=False)
    busy.busy = True
    await slots.take(busy)
    await slots.take(idle)
    busy.able = False
    waiting = asyncio.create_task(slots.take(Server()))
    await asyncio.sleep(50)
    busy.able = idle.able = True
    await waiting
    assert (len(idle.asked), busy.asked, busy.made_room) == (1, [], [])


@fake_clock
async def test_who_came_first_is_first() -> None:
    slots = ProcessSlots(1)
    holder = Process(slots, able=False)
    await slots.take(holder)
    order: list[int] = []

    async def wait(number: int) -> None:
        server = Server()
        await slots.take(server)
        order.append(number)
        slots.give_back(server)

    waiting = []
    for number in range(5):
        waiting.append(asyncio.create_task(wait(number)))
        await asyncio.sleep(0.3)
    waiting[2].cancel()
    holder.able = True
    await asyncio.wait(waiting)
    assert order == [0, 1, 3, 4]


@fake_clock
async def test_who_gives_up_waiting_takes_no_slot() -> None:
    slots = ProcessSlots(1)
    one = Server()
    await slots.take(one)
    waiting = asyncio.create_task(slots.take(Server()))
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    slots.give_back(one)
    slots.give_back(one)
    await slots.take(Server())
    assert not waiting.done() or waiting.cancelled()


class Machine:
    """Tells what processes take: `size` of each, or 300 MB."""

    def __init__(self) -> None:
        self.size: dict[int, int] = {}

    async def __call__(self, pids: Iterable[int]) -> dict[int, int]:
        return {pid: self.size.get(pid, 300 * MB) for pid in pids}


def watched(most_memory: int) -> tuple[ProcessSlots, Machine, asyncio.Task[None]]:
    """Slots for ten, whose memory is looked at."""
    machine = Machine()
    slots = ProcessSlots(10, 2, most_memory, machine)
    return slots, machine, asyncio.create_task(slots.watch())


@fake_clock
async def test_the_least_recently_used_makes_room_in_memory() -> None:
    slots, _, _watching = watched(1000 * MB)
    processes = [Process(slots, used) for used in (-10.0, -30.0, -20.0)]
    for process in processes:
        await slots.take(process)
        await asyncio.sleep(2)
    begun = now()
    fourth = Process(slots)
    # What that will take nobody knows yet; as much as the others.
    await slots.take(fourth)
    assert 2 <= now() - begun <= 3
    assert [len(each.asked) for each in processes] == [0, 1, 0]
    await asyncio.sleep(20)
    assert [len(each.asked) for each in (*processes, fourth)] == [0, 1, 0, 0]
    assert slots.memory_used(processes[0]) == 300 * MB
    assert slots.memory_used(processes[1]) == 0, "it sleeps"


@fake_clock
async def test_one_that_grows_has_the_least_recently_used_sleep() -> None:
    slots, machine, _watching = watched(1000 * MB)
    processes = [Process(slots, used) for used in (-10.0, -30.0, -20.0)]
    for process in processes:
        await slots.take(process)
    await asyncio.sleep(10)
    assert [len(each.asked) for each in processes] == [0, 0, 0]
    machine.size[processes[0].pid] = 600 * MB
    await asyncio.sleep(5)
    assert [len(each.asked) for each in processes] == [0, 1, 0]
    machine.size[processes[0].pid] = 2000 * MB
    await asyncio.sleep(50)
    # By itself it may have it all.
    assert [len(each.asked) for each in processes] == [0, 1, 1]


@fake_clock
async def test_how_much_one_took_before_is_known_when_it_starts_again() -> None:
    slots, machine, _watching = watched(1000 * MB)
    large, small = Process(slots), Process(slots)
    machine.size[large.pid] = 900 * MB
    await slots.take(large)
    await asyncio.sleep(2)
    slots.give_back(large)
    await slots.take(small)
    await asyncio.sleep(2)
    await slots.take(large)
    assert len(small.asked) == 1


def test_the_memory_of_this_process() -> None:
    found = asyncio.run(memory_of([os.getpid(), 2**30]))
    assert 5 * MB < found[os.getpid()] < 5000 * MB
    assert found[2**30] == 0


@fake_clock
async def test_a_slot_that_is_given_back_is_taken_at_once() -> None:
    slots = ProcessSlots(1)
    first = Server()
    await slots.take(first)
    waiting = asyncio.create_task(slots.take(Server()))
    await asyncio.sleep(0.25)
    slots.give_back(first)
    await waiting
    assert now() == 0.25


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
async def test_a_start_waits_for_one_fetch_and_not_for_those_of_every_model() -> None:
    slots = ProcessSlots(10, turns=1)
    begun: list[object] = []

    async def turn(what: object, holder: Holder | None = None) -> None:
        async with slots.turn(holder):
            begun.append(what)
            await asyncio.sleep(1)

    fetches = [asyncio.create_task(turn(number)) for number in range(4)]
    await asyncio.sleep(0.5)
    await asyncio.gather(turn("start", Server()), *fetches)
    assert begun == [0, 1, "start", 2, 3]


@fake_clock
async def test_starts_that_hang_keep_nobody_from_a_slot_for_long() -> None:
    slots = ProcessSlots(1, turns=2)
    hangs, another = Server(), Server()

    async def start(holder: Holder, seconds: float) -> float:
        await slots.take(holder)
        async with slots.turn(holder):
            await asyncio.sleep(seconds)
        return now()

    hanging = asyncio.create_task(start(hangs, 100))
    await asyncio.sleep(1)
    assert await start(another, 5) <= 36
    # It is there after all, and takes its place when there is one.
    await asyncio.sleep(80)
    assert not hanging.done()
    slots.give_back(another)
    await hanging
    waiting = asyncio.create_task(slots.take(Server()))
    await asyncio.sleep(5)
    assert not waiting.done()
    waiting.cancel()
