"""A process that nobody needs is ended, and is there again for the first request that needs it."""

import asyncio

import pytest

from hotserve.manager.lane_verdict import LaneVerdict
from hotserve.manager.registry import ModelVersion
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.manager.fakes import OPEN, Bench, FakeOpener, FakeServer, until
from tests.unit.hotserve.manager.samples import version

IDLE = 60.0


async def serving(*, opener: FakeOpener | None = None, process: str = "asleep") -> Bench:
    """A bench on which version 1 answers, its lane compared."""
    bench = Bench(process=process, process_idle=IDLE)
    bench.opener("1", opener or FakeOpener())
    bench.server("1", 0.0)
    bench.switcher.deploy(version("1"))
    await until(lambda: bench.model["lane"] and bench.model["lane"]["state"] != "compiling")
    return bench


async def sleeping() -> Bench:
    """The same, and its process has ended."""
    bench = await serving()
    await until(lambda: 1 in bench.pool.drains)
    bench.pool.drains[1].set()
    await until(lambda: first(bench).stopped_at)
    return bench


def first(bench: Bench) -> FakeServer:
    return bench.preparation.servers["1"]


def process(bench: Bench) -> str:
    """Its state in `/model`."""
    state: str = bench.model["process"]["state"]
    return state


@fake_clock
async def test_after_a_restart_there_is_no_process_before_a_request_needs_it() -> None:
    bench = Bench(process="asleep", process_idle=IDLE)
    bench.cache.before = version("1")
    bench.opener("1", FakeOpener(saved=OPEN))
    bench.server("1")
    await bench.serve("1")
    await asyncio.sleep(1000)
    assert (first(bench).started_at, process(bench)) == ([], "asleep")
    bench.switcher.wake()
    await until(lambda: bench.pool.target())
    assert process(bench) == "running"


@fake_clock
@pytest.mark.parametrize(
    ("process", "before", "saved"),
    [
        ("always", version("1"), OPEN),
        ("asleep", version("1"), LaneVerdict("shut", "it differs")),
        ("asleep", version("1"), None),
        ("asleep", version("2"), OPEN),
    ],
    ids=["it is to stay", "no lane", "not compared", "not served before"],
)
async def test_after_a_restart_the_process_starts_at_once_where_it_may_be_needed(
    process: str, before: ModelVersion, saved: LaneVerdict | None
) -> None:
    bench = Bench(process=process, process_idle=IDLE)
    bench.cache.before = before
    bench.opener("1", FakeOpener(saved=saved))
    server = bench.server("1")
    bench.switcher.deploy(version("1"))
    await until(lambda: bench.pool.target())
    assert len(server.started_at) == 1


@fake_clock
async def test_a_process_that_nobody_needs_falls_asleep_and_the_lane_goes_on() -> None:
    bench = await serving()
    assert process(bench) == "running"
    await asyncio.sleep(IDLE - 5)
    assert bench.pool.target() is not None
    await asyncio.sleep(10)
    last = bench.pool.last
    assert (last.target, last.hold, last.asleep, bench.pool.answers) == (None, True, True, "1")
    assert last.lane is not None
    assert (bench.model["state"], bench.model["message"]) == ("serving", None)
    assert process(bench) == "asleep"
    # A request that was under way there has its answer first.
    await asyncio.sleep(30)
    assert first(bench).stopped_at == []
    bench.pool.drains[1].set()
    await asyncio.sleep(1000)
    assert len(first(bench).stopped_at) == 1
    assert (len(first(bench).started_at), bench.model["restarts"]) == (1, 0)


@fake_clock
async def test_it_stays_as_long_as_it_is_in_use() -> None:
    bench = await serving()
    for _ in range(10):
        await asyncio.sleep(IDLE / 2)
        bench.switcher.publisher.in_use(1)
    # The process of another version is another matter.
    for _ in range(2):
        bench.switcher.publisher.in_use(7)
        await asyncio.sleep(IDLE / 2 + 2)
    assert process(bench) == "asleep"
    assert now() == pytest.approx(11 * IDLE / 2 + IDLE / 2, abs=10)


@fake_clock
async def test_requests_that_need_it_start_it_once_and_it_sleeps_again() -> None:
    bench = await sleeping()
    first(bench).steps = [10.0]
    for _ in range(20):
        bench.switcher.wake()
        await asyncio.sleep(0.1)
    assert (process(bench), bench.model["state"]) == ("starting", "serving")
    assert (bench.pool.last.hold, bench.pool.last.asleep) == (True, True)
    await asyncio.sleep(10)
    target = bench.pool.target()
    assert target is not None
    assert target.generation == 2
    assert (bench.pool.last.hold, bench.pool.last.asleep) == (False, False)
    assert (process(bench), bench.model["process"]["wakes"]) == ("running", 1)
    assert len(first(bench).started_at) == 2
    assert (bench.model["restarts"], bench.model["last_error"]) == (0, None)
    # A request for it comes a moment too late to be told.
    bench.switcher.wake()
    await asyncio.sleep(IDLE + 5)
    assert process(bench) == "asleep"
    bench.pool.drains[2].set()
    await asyncio.sleep(1)
    assert len(first(bench).stopped_at) == 2
    bench.switcher.wake()
    await until(bench.pool.target)
    assert bench.model["process"]["wakes"] == 2


@fake_clock
async def test_one_that_is_needed_before_it_ended_goes_on() -> None:
    bench = await serving()
    await until(lambda: 1 in bench.pool.drains)
    bench.switcher.wake()
    await asyncio.sleep(1)
    target = bench.pool.target()
    assert target is not None
    # The same process: requests there are still counted as its own.
    assert (target.generation, bench.pool.last.hold, bench.pool.last.asleep) == (1, False, False)
    assert (process(bench), bench.model["process"]["wakes"]) == ("running", 0)
    await asyncio.sleep(IDLE - 5)
    assert process(bench) == "running"
    assert first(bench).stopped_at == []


@fake_clock
@pytest.mark.parametrize(
    ("opener", "setting"),
    [(FakeOpener, "always"), (lambda: FakeOpener(LaneVerdict("shut", "it differs")), "asleep")],
    ids=["it is not wanted", "the lane is shut"],
)
async def test_it_does_not_sleep(opener: type[FakeOpener], setting: str) -> None:
    bench = await serving(opener=opener(), process=setting)
    await asyncio.sleep(100 * IDLE)
    assert process(bench) == "running"
    assert bench.pool.drains == {}


@fake_clock
async def test_it_does_not_sleep_while_its_answers_are_compared() -> None:
    open_before = LaneVerdict("open", forms=("inputs",))
    bench = Bench(process="asleep", process_idle=IDLE)
    bench.opener("1", FakeOpener(seconds=3 * IDLE, saved=open_before))
    bench.switcher.deploy(version("1"))
    await until(bench.pool.target)
    await asyncio.sleep(2 * IDLE)
    assert process(bench) == "running"
    await until(lambda: process(bench) == "asleep")
    assert bench.model["lane"]["state"] == "open"


@fake_clock
async def test_one_that_will_not_start_again_is_told_and_tried_again() -> None:
    bench = await sleeping()
    first(bench).steps = ["no memory", "no memory", 1.0]
    bench.switcher.wake()
    await asyncio.sleep(0.25)
    assert (bench.model["state"], process(bench)) == ("restarting", "starting")
    assert (bench.pool.last.hold, bench.pool.last.asleep) == (True, False)
    assert bench.model["last_error"]["message"] == "no memory"
    await until(bench.pool.target)
    assert (bench.model["state"], process(bench)) == ("serving", "running")
    assert len(first(bench).started_at) == 4


@fake_clock
async def test_one_that_dies_after_it_woke_is_started_again() -> None:
    bench = await sleeping()
    bench.switcher.wake()
    await until(bench.pool.target)
    await asyncio.sleep(5)
    first(bench).die("KeyError: x")
    await asyncio.sleep(0.25)
    assert bench.model["state"] == "restarting"
    await until(bench.pool.target)
    assert (bench.model["state"], bench.model["restarts"]) == ("serving", 1)


@fake_clock
@pytest.mark.parametrize("wakes", [False, True], ids=["asleep", "waking"])
async def test_another_version_takes_over_from_one_that_sleeps(wakes: bool) -> None:
    bench = await sleeping()
    first(bench).steps = [900.0]
    bench.switcher.deploy(version("2"))
    if wakes:
        bench.switcher.wake()
    await until(lambda: bench.pool.answers == "2")
    assert (bench.pool.last.hold, bench.pool.last.asleep) == (False, False)
    assert process(bench) == "running"
    await asyncio.sleep(0.5)
    assert len(first(bench).closed_at) == 1
    # Of the one before nobody needs anything, whoever asks.
    bench.switcher.wake()
    await asyncio.sleep(1000)
    assert len(first(bench).started_at) == 1 + wakes
    assert (bench.pool.answers, bench.model["state"]) == ("2", "serving")


@fake_clock
async def test_another_version_takes_over_while_one_falls_asleep() -> None:
    bench = await serving()
    bench.server("2", 0.0)
    await until(lambda: 1 in bench.pool.drains)
    await bench.serve("2")
    # A request is still under way there.
    await asyncio.sleep(10)
    assert (first(bench).stopped_at, first(bench).closed_at) == ([], [])
    bench.pool.drains[1].set()
    await asyncio.sleep(0.5)
    assert len(first(bench).closed_at) == 1


@fake_clock
@pytest.mark.parametrize("wakes", [False, True], ids=["asleep", "waking"])
async def test_the_end_while_it_sleeps(wakes: bool) -> None:
    bench = await sleeping()
    first(bench).steps = [100.0]
    if wakes:
        bench.switcher.wake()
        await asyncio.sleep(5)
    await bench.switcher.close()
    assert len(first(bench).closed_at) == 1
    bench.switcher.wake()
    published = len(bench.pool.changes)
    await asyncio.sleep(500)
    assert len(bench.pool.changes) == published
    assert len(first(bench).started_at) == 1 + wakes
