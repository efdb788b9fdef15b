"""From one version to the next: the state machine of a deployment, on a clock of its own."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hotserve.log import logger
from hotserve.manager.lane_verdict import LaneVerdict
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.manager.fakes import FOLDER, OPEN, Bench, FakeOpener, until
from tests.unit.hotserve.manager.samples import version


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(logger, "propagate", True)


async def serving(number: str = "1", *, uri: str = "models:/produtos/Production") -> Bench:
    """A bench on which a version is served."""
    bench = Bench(uri)
    await bench.serve(number)
    return bench


@fake_clock
async def test_the_first_version() -> None:
    bench = Bench()
    assert (bench.model["state"], bench.switcher.is_starting) == ("waiting", False)
    assert not bench.pool.last.hold, "a request would wait for a version that may never come"
    bench.server("1", 7.0)
    bench.switcher.deploy(version("1"))
    await asyncio.sleep(6)
    state = (bench.pool.answers, bench.model["state"], bench.switcher.is_starting)
    assert state == (None, "starting", True)
    assert bench.model["message"] == "produtos version 1 is starting"
    await asyncio.sleep(2)
    assert (bench.pool.answers, bench.model["state"]) == ("1", "serving")
    assert bench.model["switches"][0]["seconds"] == 7.0
    assert not bench.switcher.is_starting
    assert bench.switcher.active_version == version("1")
    assert bench.cache.saved == ["1"]
    assert bench.preparation.in_use == {"1"}
    assert bench.preparation.prepared == [("1", False)]


@fake_clock
async def test_it_says_at_which_step_a_version_is() -> None:
    bench = Bench()
    await bench.serve("1")
    steps: list[object] = []
    bench.switcher.status.step = lambda name: steps.append(name)  # type: ignore[method-assign]
    await bench.serve("2")
    assert steps == ["start", "compare"]


@fake_clock
async def test_a_version_is_not_started_twice() -> None:
    bench = Bench()
    for _ in range(3):
        bench.switcher.deploy(version("1"))
        await asyncio.sleep(0.4)
    await asyncio.sleep(5)
    bench.switcher.deploy(version("1"))
    await asyncio.sleep(5)
    assert len(bench.server("1").started_at) == 0
    assert len(bench.preparation.prepared) == 1


@fake_clock
async def test_the_old_process_ends_when_its_last_request_is_over() -> None:
    bench = await serving("1")
    old = bench.preparation.servers["1"]
    bench.server("2", 10.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(9)
    assert (bench.pool.answers, bench.model["wanted"]["state"]) == ("1", "starting")
    await asyncio.sleep(2)
    assert (bench.pool.answers, bench.model["wanted"]) == ("2", None)
    await asyncio.sleep(30)
    assert old.closed_at == []
    assert bench.preparation.in_use == {"1", "2"}
    bench.pool.drains[1].set()
    await asyncio.sleep(1)
    assert len(old.closed_at) == 1
    assert bench.preparation.in_use == {"2"}


@fake_clock
async def test_an_old_process_whose_requests_never_end_is_ended_after_the_longest_request() -> None:
    bench = await serving("1")
    bench.switcher.deploy(version("2"))
    await until(lambda: bench.pool.answers == "2", 0.01)
    switched = now()
    await asyncio.sleep(100)
    # The time limit of a request, and a margin.
    assert bench.preparation.servers["1"].closed_at == [pytest.approx(switched + 65, abs=0.1)]


@fake_clock
async def test_the_process_that_a_version_left_behind_dead_is_not_waited_for() -> None:
    bench = await serving("1")
    bench.preparation.servers["1"].steps = [900.0]
    bench.preparation.servers["1"].die("KeyError: x")
    await bench.serve("2")
    await asyncio.sleep(0.5)
    assert len(bench.preparation.servers["1"].closed_at) == 1
    assert bench.pool.drains == {}
    # Nobody starts it again.
    await asyncio.sleep(1000)
    assert bench.pool.target() is not None
    assert (bench.pool.answers, bench.model["state"]) == ("2", "serving")


@fake_clock
async def test_the_last_wish_wins_and_one_start_ends_before_the_next_begins() -> None:
    bench = await serving("1")
    second, third = bench.server("2", 50.0), bench.server("3", 1.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(5)
    await bench.serve("3")
    assert len(second.closed_at) == 1
    assert second.closed_at[0] <= third.started_at[0]
    assert bench.preparation.in_use == {"1", "3"}
    assert [each["to"] for each in bench.model["switches"]] == ["1", "3"]


@fake_clock
async def test_a_start_waits_until_the_one_given_up_has_ended() -> None:
    bench = await serving("1")
    second, third = bench.server("2", 50.0), bench.server("3", 1.0)

    async def close(_: float) -> None:
        await asyncio.sleep(20)
        second.closed_at.append(now())

    second.close = close  # type: ignore[assignment, method-assign]
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(5)
    await bench.serve("3")
    assert third.started_at[0] >= second.closed_at[0] > 20


@fake_clock
async def test_the_version_that_answers_is_wanted_again() -> None:
    bench = await serving("1")
    second = bench.server("2", 50.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(5)
    bench.switcher.deploy(replace(version("1"), aliases=("b",)))
    await asyncio.sleep(100)
    assert not bench.switcher.is_starting
    assert (bench.pool.answers, bench.model["wanted"]) == ("1", None)
    assert bench.model["aliases"] == ["b"]
    assert len(second.closed_at) == 1
    assert len(bench.preparation.servers["1"].started_at) == 1


@fake_clock
async def test_stage_and_aliases_are_as_fresh_as_the_registry() -> None:
    bench = await serving("1")
    for names in (("a", "b"), ()):
        bench.switcher.deploy(replace(version("1"), aliases=names))
        assert tuple(bench.model["aliases"]) == names
    published = len(bench.pool.changes)
    bench.switcher.deploy(replace(version("1"), aliases=()))
    assert len(bench.pool.changes) == published
    assert bench.switcher.active_version == replace(version("1"), aliases=())


@fake_clock
async def test_what_is_as_before_is_not_published_again() -> None:
    bench = await serving("1")
    status = bench.switcher.status
    steps: tuple[Callable[[], None], ...] = (
        lambda: status.note("two versions"),
        lambda: status.registry("away"),
        lambda: status.waiting("no version"),
        status.nothing_is_starting,
    )
    for step in steps:
        step()
        published = [*bench.pool.changes]
        step()
        assert bench.pool.changes == published
    assert bench.model["note"] == "two versions"


@fake_clock
async def test_aliases_that_change_while_a_version_starts() -> None:
    bench = Bench()
    bench.switcher.deploy(version("1"))
    await asyncio.sleep(0.5)
    late = replace(version("1"), aliases=("late",))
    bench.switcher.deploy(late)
    await until(lambda: bench.pool.answers == "1")
    bench.switcher.deploy(late)
    assert bench.model["aliases"] == ["late"]


@fake_clock
async def test_a_number_that_was_given_again_is_another_version() -> None:
    bench = await serving("1")
    bench.switcher.deploy(version("1", created=2))
    await asyncio.sleep(10)
    assert len(bench.preparation.prepared) == 2


@fake_clock
async def test_nothing_is_wanted_any_more() -> None:
    bench = await serving("1")
    second = bench.server("2", 50.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(5)
    bench.switcher.deploy_nothing()
    await asyncio.sleep(100)
    assert (bench.pool.answers, bench.model["wanted"]) == ("1", None)
    assert not bench.switcher.is_starting
    assert len(second.closed_at) == 1
    # Wanted again, it is started: what was given up is forgotten.
    second.steps = [1.0]
    await bench.serve("2")


@fake_clock
async def test_a_version_that_will_not_start_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = await serving("1")
    why = f"OSError: no {FOLDER}/model.pkl"
    bench.server("2", *[why] * 20)
    begun = now()
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(2000)
    assert (bench.pool.answers, bench.model["state"]) == ("1", "serving")
    assert (bench.model["wanted"]["version"], bench.model["wanted"]["state"]) == ("2", "failed")
    assert bench.model["last_error"]["version"] == "2"
    assert bench.model["last_error"]["message"] == "OSError: no …"
    at = [moment - begun for moment in bench.preparation.servers["2"].started_at]
    assert at == [0, 5, 15, 35, 75, 155, 315, 615, 915, 1215, 1515, 1815]
    assert bench.switcher.status.failed_starts == 12
    assert (
        f"produtos version 2 would not start; version 1 goes on: {why} (its output: /logs/2)"
        in caplog.messages
    )
    # At once when another version is promoted.
    bench.switcher.deploy(version("3"))
    await asyncio.sleep(1.5)
    assert bench.pool.answers == "3"
    assert bench.preparation.in_use == {"1", "3"}


@pytest.mark.parametrize(
    ("cached", "refetched"), [(True, [False, True, False]), (False, [False] * 3)]
)
@fake_clock
async def test_files_that_were_in_the_cache_are_fetched_again_once(
    cached: bool, refetched: list[bool]
) -> None:
    bench = Bench()
    bench.preparation.cached = {"1"} if cached else set()
    bench.server("1", "damaged", "damaged", 1.0)
    await bench.serve("1")
    assert [again for _, again in bench.preparation.prepared] == refetched


@fake_clock
async def test_with_nothing_to_serve_the_version_served_last_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.server("2", "no files", "no files", 1.0)
    bench.cache.before = version("1")
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(2)
    assert (bench.pool.answers, bench.model["state"]) == ("1", "serving")
    assert bench.model["wanted"]["state"] == "failed"
    told = bench.model["last_error"]
    assert told["version"] == "2"
    assert told["message"] == "no files; the version served last is back"
    assert bench.cache.saved == []
    assert "produtos version 2 would not start: no files (its output: /logs/2)" in caplog.messages
    await until(lambda: bench.pool.answers == "2")
    assert bench.cache.saved == ["2"]


@pytest.mark.parametrize("before", [None, "2", "1"])
@fake_clock
async def test_there_is_nothing_to_fall_back_to(before: str | None) -> None:
    bench = Bench()
    bench.cache.before = version(before) if before else None
    bench.server("1", *["no files"] * 3)
    bench.server("2", *["no files"] * 3, 1.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(4)
    assert (bench.pool.answers, bench.model["state"]) == (None, "starting")
    assert bench.model["message"] == "produtos version 2 would not start: no files"
    assert bench.model["last_error"]["message"] == "no files"
    assert len(bench.preparation.prepared) == (2 if before == "1" else 1)
    assert bench.preparation.in_use == set()
    await until(lambda: bench.pool.answers == "2")


@fake_clock
async def test_a_promoted_version_takes_over_with_its_lane_open() -> None:
    bench = await serving("1")
    server, opener = bench.server("2", 2.0), bench.opener("2", FakeOpener(seconds=12.0))
    begun = now()
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(1)
    assert opener.begun == [begun], "not beside the start"
    await asyncio.sleep(10)
    assert bench.pool.answers == "1"
    await asyncio.sleep(2)
    assert bench.pool.last.lane is not None
    assert (bench.pool.last.lane.version, bench.pool.answers) == ("2", "2")
    assert bench.model["lane"]["state"] == "open"
    assert opener.checks == [server.port]


@fake_clock
async def test_a_lane_that_takes_long_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    bench = await serving("1")
    bench.opener("2", FakeOpener(LaneVerdict("shut", f"no {FOLDER}/x"), seconds=50.0))
    begun = now()
    await bench.serve("2")
    assert now() - begun == pytest.approx(31, abs=0.5)
    assert (bench.pool.last.lane, bench.model["lane"]["state"]) == (None, "compiling")
    await asyncio.sleep(25)
    assert bench.model["lane"]["state"] == "shut"
    assert bench.model["lane"]["why"] == "no …"
    assert (
        f"the fast lane of produtos version 2 (Production) stays shut: no {FOLDER}/x"
        in caplog.messages
    )


@fake_clock
async def test_the_first_version_does_not_wait_for_its_lane() -> None:
    bench = Bench()
    bench.opener("1", FakeOpener(seconds=20.0))
    await bench.serve("1")
    assert now() < 2
    assert bench.model["lane"]["state"] == "compiling"
    await until(lambda: bench.pool.last.lane)
    assert 20 <= now() < 21


@fake_clock
async def test_an_environment_of_its_own_is_known_from_the_process() -> None:
    bench = Bench()
    opener = bench.opener("1", FakeOpener(python=None))
    bench.server("1", 5.0)
    bench.switcher.deploy(version("1"))
    await until(lambda: bench.pool.last.lane)
    assert (opener.python, opener.begun) == ("/venv/bin/python", [5.0])


@fake_clock
async def test_a_lane_that_was_open_before_answers_while_the_process_starts() -> None:
    bench = Bench()
    bench.opener("1", FakeOpener(saved=OPEN))
    bench.server("1", "no", 10.0)
    bench.switcher.deploy(version("1"))
    await asyncio.sleep(0.1)
    assert bench.pool.target() is None
    assert bench.pool.answers == "1"
    assert (bench.model["state"], bench.model["since"] is None) == ("starting", False)
    assert bench.model["lane"]["state"] == "open"
    # Its first start failed: other requests wait no longer.
    assert not bench.pool.last.hold
    holding = [change.hold for change in bench.pool.changes if change.lane]
    assert True in holding
    await asyncio.sleep(20)
    assert bench.pool.target() is not None
    assert bench.model["state"] == "serving"
    assert bench.switcher.status.switches == 1
    assert bench.preparation.servers["1"].closed_at[0] == 0


@pytest.mark.parametrize("saved", [None, LaneVerdict("shut", "it differed")])
@fake_clock
async def test_a_lane_that_was_not_open_before_answers_nothing_early(
    saved: LaneVerdict | None,
) -> None:
    bench = Bench()
    bench.opener("1", FakeOpener(saved=saved))
    bench.server("1", 10.0)
    bench.switcher.deploy(version("1"))
    await asyncio.sleep(5)
    assert bench.pool.answers is None


@fake_clock
async def test_a_lane_of_before_does_not_push_in_front_of_what_answers() -> None:
    bench = await serving("1")
    bench.opener("2", FakeOpener(saved=OPEN))
    bench.server("2", 10.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(5)
    assert (bench.pool.answers, bench.pool.last.lane) == ("1", None)


@fake_clock
async def test_a_process_still_comes_where_only_its_lane_answers() -> None:
    bench = Bench()
    bench.opener("1", FakeOpener(saved=OPEN))
    first, second = bench.server("1", 10.0), bench.server("2", 60.0)
    bench.switcher.deploy(version("1"))
    await asyncio.sleep(1)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(1)
    assert len(first.closed_at) == 1
    bench.switcher.deploy_nothing()
    await asyncio.sleep(60)
    assert len(second.closed_at) == 1
    assert bench.pool.target() is not None
    assert (bench.pool.answers, bench.model["state"]) == ("1", "serving")


@fake_clock
async def test_a_start_that_is_given_up_ends_its_helpers() -> None:
    bench = await serving("1")
    compiling = bench.opener("2", FakeOpener(seconds=500.0))
    bench.server("2", 60.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(5)
    bench.switcher.deploy_nothing()
    await asyncio.sleep(1)
    assert [task.cancelled() for task in compiling.tasks] == [True]
    assert bench.preparation.in_use == {"1"}
    # Given up while it was healthy and only its lane was waited for.
    bench.server("2", 1.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(5)
    bench.switcher.deploy_nothing()
    await asyncio.sleep(1)
    assert [task.cancelled() for task in compiling.tasks] == [True, True]
    assert len(bench.preparation.servers["2"].closed_at) == 1


@fake_clock
async def test_an_old_version_is_not_compared_to_the_end() -> None:
    bench = Bench()
    opener = bench.opener("1", FakeOpener(seconds=500.0))
    await bench.serve("1")
    await bench.serve("2")
    await asyncio.sleep(1)
    assert [task.cancelled() for task in opener.tasks] == [True]


@fake_clock
async def test_at_the_end_nothing_is_left() -> None:
    bench = await serving("1")
    opener = bench.opener("2", FakeOpener(seconds=500.0))
    second = bench.server("2", 60.0)
    bench.switcher.deploy(version("2"))
    await asyncio.sleep(5)
    await bench.switcher.close()
    assert len(bench.preparation.servers["1"].closed_at) == len(second.closed_at) == 1
    assert all(task.cancelled() for task in opener.tasks)
    assert bench.preparation.in_use == set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@fake_clock
async def test_the_end_does_not_wait_for_requests_at_an_old_process() -> None:
    bench = Bench()
    await bench.switcher.close()
    bench = await serving("1")
    await bench.switcher.close()
    assert len(bench.preparation.servers["1"].closed_at) == 1


@fake_clock
async def test_a_full_disk_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.cache.fails = True
    await bench.serve("1")
    assert "the cache can't be written to" in caplog.text
    assert "the disk of /cache is full" in caplog.text


@fake_clock
async def test_a_folder_is_not_what_is_begun_with_when_mlflow_is_down(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").touch()
    bench = await serving("1", uri=str(tmp_path))
    assert bench.cache.saved == []
