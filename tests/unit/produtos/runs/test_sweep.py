"""The ten runs: their order, what is kept of them, and how the parent run ends."""

from dataclasses import replace

import pytest
from mlflow.tracking import MlflowClient

from produtos.errors import Stopped
from produtos.grid import grid, parse_grid
from produtos.model.evaluation import METRICS
from produtos.parameters import Parameters
from produtos.runs import sweep as sweeping
from produtos.runs import tracking
from produtos.runs.outcome import Outcome, Sweep
from produtos.runs.tracking import Tracker
from tests.unit.produtos.registry.models import dataset

DATA = dataset()
COMMON = Parameters(dataset="https://ana:segredo@a/b.csv?sig=segredo")


def outcome(parameters: Parameters, accuracy: float = 0.5, f1: float = 0.5) -> Outcome:
    on_the_test_split = {"acuracia": 0.25, "f1_macro": 0.3}
    on_the_hold_out = {"acuracia_holdout": accuracy, "f1_macro_holdout": f1}
    metrics = dict.fromkeys(METRICS, 0.0) | on_the_test_split | on_the_hold_out
    return Outcome("run", "model", parameters, metrics)


def test_best_first() -> None:
    small, large = Parameters(test_size=0.1), Parameters(test_size=0.5)
    nameless = Parameters(test_size=0.1, include_names=False)
    in_order = [
        outcome(large, 0.9, 0.1),
        outcome(large, 0.8, 0.7),
        # The last digits of a sum are no difference.
        outcome(small, 0.8 - 1e-12, 0.6),
        outcome(nameless, 0.8 + 1e-12, 0.6),
        outcome(large, 0.8, 0.6),
    ]
    assert sweeping.ranked(in_order[::-1]) == in_order


@pytest.fixture
def tracker(
    client: MlflowClient,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> Tracker:
    """Where runs are recorded; training gives a figure at once."""
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    trained: list[Parameters] = []

    def record(
        tracker: Tracker, parameters: Parameters, _: object, *, tags: dict[str, str]
    ) -> Outcome:
        with tracking.running(tracker, "um", tags=tags):
            trained.append(parameters)
        return replace(outcome(parameters, accuracy=parameters.test_size), seconds=0.1)

    monkeypatch.setattr(sweeping, "record", record)
    made = tracking.connect()
    monkeypatch.setattr(made.client, "trained", trained, raising=False)
    return made


def test_the_parent_run_is_open_until_the_best_one_is_registered(
    tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    with sweeping.sweep(tracker, DATA, COMMON, first=True) as done:
        parent = tracker.client.get_run(done.parent_id)
        assert parent.info.status == "RUNNING"
    assert tracker.client.get_run(done.parent_id).info.status == "FINISHED"
    assert parent.data.tags["sweep"] == "first"
    assert parent.data.tags["dataset_sha256"] == DATA.summary.digest
    assert parent.data.tags["holdout_digest"]
    assert parent.data.tags["best_run_id"] == "run"
    assert parent.data.metrics["acuracia_holdout"] == 0.5
    assert parent.data.params == {
        "strip_accents": "sim",
        "classifier": "naive_bayes",
        "dataset": "'https://a/b.csv?sig=…'",
        "alpha": "auto",
        "ngrams": "1",
    }
    assert [each.parameters.test_size for each in done.outcomes[:2]] == [0.5, 0.5]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(done.outcomes) == 10
    assert lines[0].startswith(
        " 1/10  test_size=0.1  include_names=sim  acuracia 0.2500  acuracia_holdout 0.1000  "
    )
    children = tracker.client.search_runs(
        [tracker.experiment_id], f"tags.mlflow.parentRunId = '{done.parent_id}'"
    )
    assert {run.info.status for run in children} == {"FINISHED"}
    assert len(children) == 10


def test_a_resumed_sweep_trains_what_is_missing(
    tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = tracker.client.create_run(tracker.experiment_id).info.run_id
    tracker.client.set_terminated(parent, "KILLED")
    kept = [outcome(each, 0.99) for each in grid(COMMON)[:9]]
    with sweeping.sweep(tracker, DATA, COMMON, resumed=Sweep(parent, kept)) as done:
        assert done.parent_id == parent
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("  kept") for line in lines] == [True] * 9 + [False]
    assert tracker.client.trained == grid(COMMON)[9:]  # type: ignore[attr-defined]
    ended = tracker.client.get_run(parent)
    assert (ended.info.status, ended.data.tags["sweep"]) == ("FINISHED", "yes")


def test_cut_off_while_the_best_one_is_registered_it_is_unfinished(tracker: Tracker) -> None:
    def register() -> None:
        with sweeping.sweep(tracker, DATA, COMMON) as done:
            parents.append(done.parent_id)
            raise Stopped(15)

    parents: list[str] = []
    with pytest.raises(Stopped):
        register()
    assert tracker.client.get_run(parents[0]).info.status == "KILLED"


def test_of_a_grid_is_said_in_what_the_runs_differ(
    tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = parse_grid("classifier=naive_bayes,logistic_regression alpha=0.1,1 ngrams=1,2")
    with sweeping.sweep(tracker, DATA, COMMON, axes=axes) as done:
        assert len(done.outcomes) == 8
    lines = capsys.readouterr().out.splitlines()
    last = "8/8  classifier=logistic_regression  alpha=1  ngrams=2  acuracia "
    assert lines[-1].startswith(last)
    parent = tracker.client.get_run(done.parent_id)
    assert parent.info.run_name == "sweep of a grid"
    assert {"test_size", "include_names"} <= parent.data.params.keys()
    assert not {"classifier", "alpha", "ngrams"} & parent.data.params.keys()
    many = [outcome(replace(Parameters(), alpha=float(n))) for n in range(1, 31)]
    head, first, *_, rest = sweeping.table(many, {"alpha": ()}).splitlines()
    assert head.split()[:2] == ["alpha", "acuracia"]
    assert first.split()[:2] == ["1", "0.2500"]
    assert rest == "and 10 runs more"


def test_the_table_of_runs() -> None:
    lines = sweeping.table([outcome(Parameters(test_size=0.3, include_names=False))]).splitlines()
    assert lines[0].split() == ["test_size", "include_names", *METRICS]
    row = dict(zip(lines[0].split(), lines[1].split(), strict=True))
    assert (row["test_size"], row["include_names"]) == ("0.3", "não")
    assert (row["acuracia"], row["f1_macro"]) == ("0.2500", "0.3000")
    assert (row["acuracia_holdout"], row["f1_macro_holdout"]) == ("0.5000", "0.5000")
