"""The first model, however often its making is cut off, on a real store."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient

from produtos.grid import grid
from produtos.model.evaluation import METRICS
from produtos.parameters import Parameters
from produtos.registry import first_start, registry
from produtos.registry.registry import PRODUCTION
from produtos.runs import tracking
from produtos.runs.tracking import Tracker
from tests.unit.produtos.registry.models import dataset, version

DATA = dataset()
COMMON = Parameters(dataset="produtos.csv")


@pytest.fixture
def tracker(client: MlflowClient) -> Tracker:  # noqa: ARG001
    return tracking.connect()


def sweep(
    tracker: Tracker, status: str = "RUNNING", digest: str = DATA.summary.digest, **params: str
) -> str:
    """The parent run of a first sweep."""
    tags = {"sweep": "first", "dataset_sha256": digest}
    run = tracker.client.create_run(tracker.experiment_id, tags=tags)
    logged = {"strip_accents": "sim", "classifier": "naive_bayes"} | params
    tracking.log(tracker, run, parameters=logged)
    if status != "RUNNING":
        tracker.client.set_terminated(run.info.run_id, status)
    return str(run.info.run_id)


def child(tracker: Tracker, parent: str, parameters: Parameters, **metrics: float) -> str:
    run = tracker.client.create_run(
        tracker.experiment_id, tags={"mlflow.parentRunId": parent, "gaps": "few"}
    )
    metrics = dict.fromkeys(METRICS, 0.5) | metrics
    tracking.log(tracker, run, parameters=parameters.logged(), metrics=metrics)
    return str(run.info.run_id)


def status(tracker: Tracker, run_id: str) -> str:
    return str(tracker.client.get_run(run_id).info.status)


def test_nothing_there_is_to_be_made(client: MlflowClient) -> None:
    assert first_start.existing_version(client) is None


@pytest.mark.parametrize("stage", ["None", "Production", "Archived"])
def test_a_first_version_without_a_stage_gets_it_and_its_sweep_is_over(
    tracker: Tracker, stage: str
) -> None:
    client = tracker.client
    parent, other = sweep(tracker), sweep(tracker)
    made = version(client, sweep="first", sweep_run_id=parent)
    if stage == "Production":
        registry.move(client, made, stage)
        client.delete_registered_model_alias(registry.MODEL_NAME, "production")
    elif stage == "Archived":
        registry.retire(client, made, stage)
    found = first_start.existing_version(client)
    assert found is not None
    # What somebody moved elsewhere stays there.
    assert found.current_stage == ("Archived" if stage == "Archived" else PRODUCTION)
    aliases = client.get_registered_model(registry.MODEL_NAME).aliases
    assert list(aliases) == ([] if stage == "Archived" else ["production"])
    assert (status(tracker, parent), status(tracker, other)) == ("FINISHED", "KILLED")


def test_a_version_of_another_sweep_is_left_where_it_is(tracker: Tracker) -> None:
    parent = sweep(tracker)
    version(tracker.client, sweep="yes", sweep_run_id=parent)
    version(tracker.client)
    found = first_start.existing_version(tracker.client)
    assert found is not None
    assert (str(found.version), found.current_stage) == ("2", "None")
    assert status(tracker, parent) == "KILLED"
    registry.move(tracker.client, registry.versions(tracker.client)[0], PRODUCTION)
    found = first_start.existing_version(tracker.client)
    assert found is not None
    assert str(found.version) == "1"


def test_sweeps_of_a_deleted_experiment_are_left_alone(tracker: Tracker) -> None:
    parent = sweep(tracker)
    made = version(tracker.client, sweep="first", sweep_run_id=parent)
    tracker.client.delete_experiment(tracker.experiment_id)
    found = first_start.existing_version(tracker.client)
    tracker.client.restore_experiment(tracker.experiment_id)
    assert found is not None
    assert (found.version, found.current_stage) == (made.version, "None")
    assert status(tracker, parent) == "RUNNING"


def test_an_interrupted_sweep_goes_on_with_what_it_finished(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = sweep(tracker)
    runs = grid(COMMON)
    finished = child(tracker, parent, runs[0], acuracia=0.75)
    running = child(tracker, parent, runs[1])
    failed = child(tracker, parent, runs[2])
    without_model = child(tracker, parent, runs[3])
    tracker.client.set_terminated(failed, "FAILED")
    for run_id in (finished, without_model):
        tracker.client.set_terminated(run_id)
    get_run = tracker.client.get_run

    def with_models(run_id: str) -> object:
        run = get_run(run_id)
        models = [] if run_id == without_model else [SimpleNamespace(model_id="m-0")]
        return SimpleNamespace(
            info=run.info, data=run.data, outputs=SimpleNamespace(model_outputs=models)
        )

    monkeypatch.setattr(tracker.client, "get_run", with_models)
    interrupted = first_start.interrupted_sweep(tracker, DATA, COMMON)
    assert interrupted is not None
    assert interrupted.parent_id == parent
    (outcome,) = interrupted.outcomes
    assert outcome.parameters == runs[0]
    assert (outcome.run_id, outcome.model_id, outcome.gaps) == (finished, "m-0", "few")
    assert outcome.metrics["acuracia"] == 0.75
    assert status(tracker, running) == status(tracker, parent) == "KILLED"
    assert status(tracker, finished) == "FINISHED"


def test_of_several_the_newest_on_the_same_file_with_the_same_parameters(
    tracker: Tracker,
) -> None:
    older = sweep(tracker, "KILLED")
    newer = sweep(tracker, "FAILED")
    others = [
        sweep(tracker, digest="another file"),
        sweep(tracker, strip_accents="não"),
        sweep(tracker, classifier="logistic_regression"),
    ]
    for number, run_id in enumerate((older, newer, *others)):
        tracker.client.set_tag(run_id, "order", str(number))
    assert sweep(tracker, "FINISHED")
    interrupted = first_start.interrupted_sweep(tracker, DATA, COMMON)
    assert interrupted is not None
    assert interrupted.parent_id == newer
    assert [status(tracker, run_id) for run_id in others] == ["KILLED"] * 3


def test_no_sweep_was_interrupted(tracker: Tracker) -> None:
    sweep(tracker, "FINISHED")
    assert first_start.interrupted_sweep(tracker, DATA, COMMON) is None


def test_whether_a_file_of_ones_own_was_trained_on(tracker: Tracker, tmp_path: Path) -> None:
    mine = tmp_path / "meus.csv"
    mine.write_bytes(DATA.content)
    client = tracker.client
    version(client, sweep(tracker))
    assert not first_start.is_untrained(client, str(mine))
    mine.write_bytes(b"another")
    assert first_start.is_untrained(client, str(mine))
    for unknown in (None, "", "https://a/b.csv", str(tmp_path / "no.csv")):
        assert not first_start.is_untrained(client, unknown)
    # A version from elsewhere may have been trained on anything.
    version(client)
    assert not first_start.is_untrained(client, str(mine))
