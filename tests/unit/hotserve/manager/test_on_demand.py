"""Processes of many models: they start when they are needed, and no more than there are slots."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hotserve.log import logger
from hotserve.manager.lane_verdict import LaneVerdict
from hotserve.processes.slots import ProcessSlots
from tests.support.fake_clock import fake_clock
from tests.unit.hotserve.manager.fakes import OPEN, Bench, FakeOpener, until
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
    assert bench.switcher.is_ready
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
    bench.switcher.in_use(bench.pool.last.target.generation)  # type: ignore[union-attr]
    await asyncio.sleep(250)
    assert not asleep(bench)
    await until(lambda: asleep(bench))


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
