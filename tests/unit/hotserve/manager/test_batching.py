"""Batching of a version: compared before it takes over, and the same in every worker."""

import json
from pathlib import Path

import pytest

from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Batching
from hotserve.manager.batch_opener import BatchOpener
from hotserve.manager.verdict import Verdict
from hotserve.processes.guarded_process import Exit, ProcessContext
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.manager.fakes import Bench, FakeBatchOpener, until
from tests.unit.hotserve.manager.samples import version

OPEN = Verdict("open", forms=("text/csv", "inputs"))
SHUT = Verdict("shut", "it answers a row otherwise in company than alone")


def batching(bench: Bench) -> Batching | None:
    """As the workers have it."""
    return bench.pool.last.batching


@fake_clock
async def test_a_version_takes_over_with_its_batching() -> None:
    bench = Bench()
    bench.batch_opener("1", FakeBatchOpener(OPEN, seconds=5.0))
    bench.batch_opener("2", FakeBatchOpener(SHUT, seconds=5.0))
    await bench.serve("1")
    # There is nothing else that could answer meanwhile.
    assert bench.model["batching"]["state"] == "comparing"
    assert batching(bench) is None
    await until(lambda: batching(bench))
    assert batching(bench) == Batching(1, OPEN.forms, {"valor": "double"})
    assert bench.model["batching"] == {
        "state": "open",
        "why": None,
        "forms": ["text/csv", "inputs"],
        "tolerance": 1e-05,
    }
    await bench.serve("2")
    first = next(change for change in bench.pool.changes if change.target == bench.pool.target())
    assert first.batching is None
    assert bench.model["batching"]["why"] == SHUT.why
    assert bench.model["batching"]["state"] == "shut"
    await bench.switcher.close()


@fake_clock
async def test_a_version_does_not_wait_long_for_it() -> None:
    bench = Bench()
    await bench.serve("1")
    bench.batch_opener("2", FakeBatchOpener(OPEN, seconds=100.0))
    begun = now()
    await bench.serve("2")
    assert now() - begun < 35
    await until(lambda: batching(bench))
    await bench.switcher.close()


@fake_clock
async def test_what_a_worker_saw_shuts_it_in_all_of_them() -> None:
    bench = Bench()
    opener = bench.batch_opener("1", FakeBatchOpener(OPEN))
    bench.switcher.deploy(version("1"))
    await until(lambda: batching(bench))
    bench.switcher.publisher.batching_failed("0", "of a version that is gone")
    assert batching(bench)
    bench.switcher.publisher.batching_failed("1", "it gave 1 predictions for 2 rows")
    bench.switcher.publisher.batching_failed("1", "it gave 1 predictions for 3 rows")
    assert batching(bench) is None
    assert bench.model["batching"]["why"] == "it gave 1 predictions for 2 rows"
    assert opener.kept == ["it gave 1 predictions for 2 rows"]
    await bench.switcher.close()


@fake_clock
async def test_where_the_process_ended_meanwhile_the_next_one_is_compared() -> None:
    bench = Bench()
    server = bench.server("1")
    opener = bench.batch_opener("1", FakeBatchOpener(None, OPEN, seconds=5.0))
    bench.switcher.deploy(version("1"))
    await until(lambda: len(opener.checks) == 1)
    server.die()
    await until(lambda: batching(bench))
    assert len(opener.checks) == 2
    # Once open it stays so when the process is started again.
    server.die()
    await until(lambda: bench.model["restarts"] == 2 and bench.model["state"] == "serving")
    assert batching(bench) == Batching(1, OPEN.forms, {"valor": "double"})
    assert len(opener.checks) == 2
    await bench.switcher.close()


class Helper:
    """Stands in for the process that compares."""

    def __init__(self, *lines: object, code: int | None = 0) -> None:
        texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
        self.end = Exit(code, tuple(texts))
        self.runs = 0

    async def run(
        self, argv: list[str], context: ProcessContext, *, timeout: float, tries: int
    ) -> Exit:
        assert argv[-3:] == ["/models/m", "1234", "table"]
        assert "PYTHONPATH" in context.environment
        assert (timeout, tries) == (180, 3)
        self.runs += 1
        return self.end


@pytest.mark.parametrize(
    ("helper", "verdict"),
    [
        (Helper("noise", {"forms": ["inputs"]}), Verdict("open", forms=("inputs",))),
        (Helper({"shut": "no"}), Verdict("shut", "no")),
        (
            Helper(code=-9),
            Verdict("shut", "comparing its answers failed: ended by SIGKILL"),
        ),
        (Helper("noise"), Verdict("shut", "comparing its answers came to nothing")),
        (
            Helper("ImportError: x", code=1),
            Verdict("shut", "comparing its answers failed: ended with code 1: ImportError: x"),
        ),
    ],
    ids=["open", "shut", "killed", "nothing", "fault"],
)
@pytest.mark.anyio
async def test_the_verdict_of_the_helper(
    helper: Helper, verdict: Verdict | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotserve.manager.verdict.run_to_end", helper.run)
    opener = BatchOpener(
        Path("/models/m"),
        TextInput("table"),
        tmp_path / "kept" / "x.json",
        ProcessContext({}, None),
    )
    assert await opener.check(1234) == verdict
    opener.keep_shut("for good")
    assert await opener.check(1234) == Verdict("shut", "for good")
    assert helper.runs == 1


@pytest.mark.anyio
async def test_rows_that_end_the_process_do_not_end_it_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = Helper({"error": "the model's process can't be asked"})
    monkeypatch.setattr("hotserve.manager.verdict.run_to_end", helper.run)

    def opener() -> BatchOpener:
        """Of a deployment of the same version."""
        file = tmp_path / "kept" / "x.json"
        return BatchOpener(Path("/models/m"), TextInput("table"), file, ProcessContext({}, None))

    assert await opener().check(1234) is None
    for _ in range(2):
        verdict = await opener().check(1234)
        assert verdict is not None
        assert verdict.why == "twice its process ended while its rows were compared"
    assert helper.runs == 2


@fake_clock
async def test_a_version_whose_process_ends_while_it_is_compared_does_not_take_over() -> None:
    bench = Bench()
    await bench.serve("1")
    opener = bench.batch_opener("2", FakeBatchOpener(None, SHUT, seconds=5.0))
    server = bench.server("2")
    bench.switcher.deploy(version("2"))
    await until(lambda: opener.checks)
    server.die("Segmentation fault")
    await until(lambda: bench.model["last_error"])
    assert bench.pool.answers == "1"
    assert "Segmentation fault" in bench.model["last_error"]["message"]
    await until(lambda: bench.pool.answers == "2")
    assert bench.model["batching"]["why"] == SHUT.why
    await bench.switcher.close()


@pytest.mark.anyio
async def test_a_model_that_can_not_answer_is_not_asked(tmp_path: Path) -> None:
    opener = BatchOpener(
        Path("/models/m"), TextInput("misdeclared"), tmp_path / "x.json", ProcessContext({}, None)
    )
    verdict = await opener.check(1)
    assert verdict is not None
    assert verdict.state == "shut"
