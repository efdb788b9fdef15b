"""A process that ends by itself is started again: at once, then more and more seldom."""

import asyncio

import pytest

from hotserve.backoff import Backoff
from hotserve.manager.lane_verdict import LaneVerdict
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.manager.fakes import FOLDER, SETTINGS, Bench, FakeOpener, FakeServer, until
from tests.unit.hotserve.manager.samples import version


async def serving(opener: FakeOpener | None = None) -> tuple[Bench, FakeServer]:
    bench = Bench()
    if opener is not None:
        bench.opener("1", opener)
    server = bench.server("1", 0.0)
    bench.switcher.deploy(version("1"))
    await until(lambda: bench.pool.last.target)
    return bench, server


async def starts_after_lives(server: FakeServer, *lives: float) -> list[float]:
    """Let the process die after living so long, and give the seconds until each new start."""
    waited = []
    for life in lives:
        await asyncio.sleep(life)
        server.steps = [0.0]
        server.die()
        died, starts = now(), len(server.started_at)
        await until(lambda starts=starts: len(server.started_at) > starts, 0.125)  # type: ignore[misc]
        waited.append(server.started_at[-1] - died)
        # The clock above may have gone on for a moment since the start.
        await asyncio.sleep(0.125)
    return waited


@fake_clock
async def test_a_process_that_ends_is_started_again_at_once() -> None:
    bench, server = await serving()
    await asyncio.sleep(100)
    server.steps = [10.0]
    server.die(f"KeyError: no {FOLDER}/x")
    await asyncio.sleep(1)
    assert (bench.pool.last.target, bench.pool.last.hold) == (None, True)
    assert bench.model["state"] == "restarting"
    reason = "ended with code 1: KeyError: no …"
    assert bench.model["message"] == f"produtos version 1 is being started again: {reason}"
    assert bench.model["last_error"]["message"] == reason
    await asyncio.sleep(10)
    assert bench.pool.last.target is not None
    assert (bench.pool.last.target.generation, bench.pool.last.hold) == (2, False)
    assert (bench.model["state"], bench.model["message"]) == ("serving", None)
    assert bench.model["restarts"] == 1
    await asyncio.sleep(100)
    assert not bench.pool.last.hold


@fake_clock
async def test_a_process_that_lives_a_moment_is_started_more_and_more_seldom() -> None:
    _, server = await serving()
    waits = await starts_after_lives(server, *[5.0] * 10)
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@fake_clock
async def test_a_process_that_lives_a_minute_begins_afresh() -> None:
    _, server = await serving()
    waits = await starts_after_lives(server, 1, 1, 1, 59, 61, 1, 1)
    assert waits == [0, 0.5, 1, 2, 0, 0.5, 1]


@fake_clock
async def test_a_start_that_fails_is_tried_again_and_told() -> None:
    bench, server = await serving()
    await asyncio.sleep(100)
    server.steps = ["no port", f"no {FOLDER}/y", "no memory", 1.0]
    died = now()
    server.die("KeyError: x")
    await asyncio.sleep(1)
    assert bench.model["last_error"]["message"] == "no …"
    await until(lambda: bench.pool.last.target)
    assert [at - died for at in server.started_at[1:]] == [0, 0.5, 1.5, 3.5]
    assert bench.model["last_error"]["message"] == "no memory"
    assert bench.model["restarts"] == 4


@fake_clock
async def test_requests_do_not_wait_for_ever() -> None:
    bench, server = await serving()
    server.steps = [100.0]
    server.die()
    died = now()
    await until(lambda: bench.pool.last.hold, 0.01)
    await until(lambda: not bench.pool.last.hold)
    assert now() - died == pytest.approx(SETTINGS.hold_timeout, abs=0.5)
    assert bench.pool.last.target is None
    await until(lambda: bench.pool.last.target)


@fake_clock
async def test_nobody_starts_a_process_again_after_the_end() -> None:
    bench, server = await serving()
    server.steps = [100.0]
    server.die()
    await asyncio.sleep(5)
    await bench.switcher.close()
    published = len(bench.pool.changes)
    await asyncio.sleep(500)
    assert len(bench.pool.changes) == published
    assert len(server.started_at) == 2


@fake_clock
async def test_a_comparison_that_came_to_its_end_counts_although_the_process_had_died() -> None:
    opener = FakeOpener(seconds=20.0)
    bench, server = await serving(opener)
    await asyncio.sleep(1)
    server.steps = [1.0]
    server.die()
    await asyncio.sleep(10)
    assert len(opener.begun) == 1, "two helpers at once"
    await until(lambda: bench.pool.last.lane)
    await asyncio.sleep(60)
    assert len(opener.begun) == 1
    assert bench.model["lane"]["state"] == "open"


@fake_clock
async def test_a_process_is_watched_while_the_one_before_it_is_still_compared() -> None:
    opener = FakeOpener(seconds=100.0)
    bench, server = await serving(opener)
    assert await starts_after_lives(server, 5.0, 5.0, 5.0) == [0, 0.5, 1]
    assert not bench.pool.last.lane
    await until(lambda: bench.pool.last.lane)
    assert len(opener.checks) == 1
    await bench.switcher.close()


@fake_clock
async def test_a_lane_that_was_compared_is_not_compared_again() -> None:
    opener = FakeOpener(LaneVerdict("shut", "it differs"))
    bench, server = await serving(opener)
    await until(lambda: bench.model["lane"]["state"] == "shut")
    await starts_after_lives(server, 100.0)
    await asyncio.sleep(100)
    assert len(opener.begun) == 1


def test_back_off_doubles_up_to_its_longest_wait() -> None:
    backoff = Backoff(5.0, 300.0)
    assert [backoff.delay() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.delay(lasted=59.9) == 300
    assert backoff.delay(lasted=60.0) == 5
    assert backoff.delay() == 10
    assert [Backoff(0.0, 1.0).delay() for _ in range(2)] == [0, 0]
