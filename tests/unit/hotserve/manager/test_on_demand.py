"""Processes of many models: they start when they are needed, and no more than there are slots."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from hotserve.log import logger
from hotserve.manager.lane_verdict import LaneVerdict
from hotserve.processes.slots import ProcessSlots, Sleeper
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.manager.fakes import OPEN, Bench, FakeOpener, FakeServer, until
from tests.unit.hotserve.manager.samples import version

SHUT = LaneVerdict("shut", "it is no linear model")


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(logger, "propagate", True)


def bench_of_many(**more: Any) -> Bench:
    bench = Bench(process="always", process_idle=300.0, **more)
    bench.server("1").slots = ProcessSlots(2)
    return bench


def asleep(bench: Bench) -> bool:
    return bool(bench.model["process"] and bench.model["process"]["state"] == "asleep")


@fake_clock
@pytest.mark.parametrize("saved", [OPEN, SHUT], ids=["with a lane", "without a lane"])
async def test_what_was_served_before_starts_when_a_request_needs_it(saved: LaneVerdict) -> None:
    bench = bench_of_many()
    bench.cache.before = version("1")
    bench.opener("1", FakeOpener(saved=saved))
    server = bench.server_of("1")
    bench.switcher.deploy(version("1"))
    await until(lambda: asleep(bench))
    assert (bench.model["state"], bench.model["version"]) == ("serving", "1")
    assert bench.model["lane"]["state"] == saved.state
    assert (bench.pool.last.lane is not None) == saved.is_open
    assert bench.switcher.publisher.is_ready
    await asyncio.sleep(1000)
    assert server.started_at == []
    bench.switcher.wake()
    await until(lambda: bench.pool.target())
    assert len(server.started_at) == 1
    assert bench.model["process"]["state"] == "running"


@fake_clock
@pytest.mark.parametrize(
    ("before", "saved"),
    [(None, OPEN), (version("1", created=2), OPEN), (version("1"), None)],
    ids=["never served", "another of that number", "not compared"],
)
async def test_what_is_not_known_is_tried_at_once(before: Any, saved: LaneVerdict | None) -> None:
    bench = bench_of_many()
    bench.cache.before = before
    bench.opener("1", FakeOpener(saved=saved))
    bench.switcher.deploy(version("1"))
    await until(lambda: bench.pool.target())
    assert len(bench.server_of("1").started_at) == 1


@fake_clock
async def test_one_without_a_lane_sleeps_too_when_nobody_asks_it() -> None:
    bench = bench_of_many()
    bench.switcher.deploy(version("1"))
    await until(lambda: bench.pool.target())
    await asyncio.sleep(200)
    bench.switcher.publisher.in_use(bench.pool.last.target.generation)  # type: ignore[union-attr]
    await asyncio.sleep(250)
    assert not asleep(bench)
    await until(lambda: asleep(bench))


@fake_clock
async def test_one_that_was_only_compared_with_its_lane_sleeps_at_once() -> None:
    bench = bench_of_many()
    bench.opener("1", FakeOpener(OPEN))
    bench.switcher.deploy(version("1"))
    await until(lambda: bench.model["lane"] and bench.model["lane"]["state"] == "open")
    assert bench.model["process"]["state"] == "running"
    await asyncio.sleep(5)
    assert asleep(bench)
    bench.pool.drains[1].set()
    bench.switcher.wake()
    await until(lambda: bench.pool.target())
    await asyncio.sleep(250)
    assert not asleep(bench)
    await until(lambda: asleep(bench))


@fake_clock
async def test_one_that_a_request_needed_stays() -> None:
    bench = bench_of_many()
    bench.opener("1", FakeOpener(OPEN, seconds=20.0))
    bench.switcher.deploy(version("1"))
    await until(lambda: bench.pool.target())
    bench.switcher.publisher.in_use(1)
    await asyncio.sleep(200)
    assert bench.model["lane"]["state"] == "open"
    assert not asleep(bench)
    # So does that of the next version, which is asked by the same clients.
    bench.server("2").slots = ProcessSlots(2)
    bench.opener("2", FakeOpener(OPEN))
    await bench.serve("2")
    await asyncio.sleep(200)
    assert not asleep(bench)


async def served(bench: Bench) -> tuple[FakeServer, Sleeper]:
    """The process of version 1, which answers, and who can have it sleep."""
    server: Any = bench.server_of("1")
    bench.switcher.deploy(version("1"))
    await until(lambda: server.sleeper and bench.pool.target())
    return server, server.sleeper


@fake_clock
async def test_one_that_is_in_use_makes_room_and_its_requests_wait_for_the_next_start() -> None:
    bench = bench_of_many()
    server, sleeper = await served(bench)
    sleeper.sleep(in_use=True)
    await asyncio.sleep(0.25)
    assert (bench.pool.target(), bench.pool.last.hold, bench.pool.last.asleep) == (None, True, True)
    # Requests come on and on; those that came before are answered first.
    for _ in range(20):
        bench.switcher.wake()
        await asyncio.sleep(0.25)
    assert server.stopped_at == []
    assert bench.pool.target() is None
    bench.pool.drains[1].set()
    await until(lambda: bench.pool.target())
    assert (len(server.stopped_at), len(server.started_at)) == (1, 2)
    assert (bench.model["restarts"], bench.model["process"]["wakes"]) == (0, 1)
    # Told gently, it stays for a request as before.
    sleeper.sleep()
    await asyncio.sleep(0.25)
    bench.switcher.wake()
    await asyncio.sleep(0.25)
    assert bench.pool.target()
    assert len(server.stopped_at) == 1


@fake_clock
async def test_a_stream_without_end_keeps_nobody_from_its_room() -> None:
    bench = bench_of_many()
    server, sleeper = await served(bench)
    begun = now()
    sleeper.sleep(in_use=True)
    await until(lambda: server.stopped_at)
    assert 60 <= server.stopped_at[0] - begun <= 70
    await asyncio.sleep(1000)
    assert asleep(bench)
    assert len(server.started_at) == 1
    bench.switcher.wake()
    await until(lambda: bench.pool.target())


@fake_clock
async def test_one_that_dies_while_it_makes_room_starts_again() -> None:
    bench = bench_of_many()
    server, sleeper = await served(bench)
    server.die("KeyError: x")
    sleeper.sleep(in_use=True)
    await asyncio.sleep(5)
    assert bench.pool.target()
    await asyncio.sleep(100)
    assert not asleep(bench)
    assert (len(server.started_at), server.stopped_at) == (2, [])


@fake_clock
async def test_another_version_takes_over_from_one_that_sleeps() -> None:
    bench = bench_of_many()
    bench.cache.before = version("1")
    bench.opener("1", FakeOpener(saved=OPEN))
    bench.switcher.deploy(version("1"))
    await until(lambda: asleep(bench))
    bench.switcher.deploy(replace(version("2")))
    await until(lambda: bench.pool.answers == "2")
    assert bench.model["process"]["state"] == "running"
    assert bench.server_of("1").started_at == []
    await asyncio.sleep(5)
    assert len(bench.server_of("1").closed_at) == 1


class ServerOfSlots(FakeServer):
    """A server process that needs a slot, as a real one does."""

    pid = 0

    async def start(self, timeout: float) -> None:
        await self.slots.take(self)
        try:
            async with self.slots.turn(self):
                await super().start(timeout)
        except BaseException:
            self.slots.give_back(self)
            raise

    async def stop(self, grace: float) -> None:
        await super().stop(grace)
        self.slots.give_back(self)

    async def close(self, grace: float) -> None:
        await super().close(grace)
        self.slots.give_back(self)


class Asked:
    """A model that somebody asks again and again, twice a second.

    Attributes:
        served: when an answer came.
        is_over: whether nobody asks any more.
    """

    is_over = False

    def __init__(self, slots: ProcessSlots, start: float) -> None:
        self.bench = Bench(process="always", process_idle=300.0)
        for number in ("1", "2"):
            server = ServerOfSlots(*[start] * 100)
            server.slots = slots
            self.bench.preparation.servers[number] = server
        self.served: list[float] = []
        self.bench.switcher.deploy(version("1"))

    async def ask(self) -> None:
        while True:
            last = self.bench.pool.last
            if self.is_over:
                pass
            elif last.target is not None:
                self.bench.switcher.publisher.in_use(last.target.generation)
                self.served.append(now())
            elif last.asleep:
                self.bench.switcher.wake()
            # What was under way at a process has its answer by then.
            await asyncio.sleep(0.5)
            for drained in self.bench.pool.drains.values():
                drained.set()

    def longest_gap(self) -> float:
        return max(after - before for before, after in pairwise(self.served))


@fake_clock
async def test_models_that_are_asked_all_the_time_take_turns_and_a_new_version_comes_through() -> (
    None
):
    slots = ProcessSlots(1, turns=2)
    models = [Asked(slots, start=8.0) for _ in range(3)]
    asking = [asyncio.create_task(model.ask()) for model in models]
    await asyncio.sleep(300)
    for model in models:
        assert model.longest_gap() < 60, "a request would have waited for too long"
        assert len(model.served) > 20
    models[0].bench.switcher.deploy(version("2"))
    await until(lambda: models[0].bench.pool.answers == "2")
    assert now() < 400
    # Nobody else needs it any more: it keeps its slot.
    models[1].is_over = models[2].is_over = True
    await asyncio.sleep(60)
    served = len(models[0].served)
    await asyncio.sleep(100)
    assert len(models[0].served) == served + 200
    for each in asking:
        each.cancel()
