"""Going back to the first version, on a real store."""

import time

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput
from produtos.registry import first_version, registry
from produtos.registry.registry import MODEL_NAME, PRODUCTION, STAGING
from produtos.runs import tracking
from tests.unit.produtos.registry.models import version


def a_run(client: MlflowClient, experiment: str) -> str:
    """A finished run, later than everything that was registered before."""
    time.sleep(0.002)
    return str(client.create_run(experiment).info.run_id)


def runs(client: MlflowClient) -> set[str]:
    ids = [each.experiment_id for each in client.search_experiments()]
    return {run.info.run_id for run in client.search_runs(ids)}


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    return str(client.create_experiment("capitulo-10"))


@pytest.fixture
def kept(client: MlflowClient, experiment: str) -> str:
    """The run of version 1, which is in Staging by now; version 2 is in Production, 3 nowhere."""
    run_id = a_run(client, experiment)
    time.sleep(0.002)
    first = version(client, run_id, acuracia_holdout="0.98")
    client.update_model_version(MODEL_NAME, first.version, description="a primeira")
    registry.move(client, first, PRODUCTION)
    a_run(client, experiment)
    a_run(client, "0")
    registry.move(client, version(client), PRODUCTION)
    registry.move(client, first, STAGING)
    version(client)
    return run_id


def test_version_1_is_alone_and_in_production_and_the_next_is_2(
    client: MlflowClient, kept: str
) -> None:
    first_version.restore(client, first_version.find(client))
    (only,) = registry.versions(client)
    assert (str(only.version), only.run_id, only.source) == ("1", kept, "/nowhere")
    assert (only.current_stage, only.description) == (PRODUCTION, "a primeira")
    assert only.tags == {"acuracia_holdout": "0.98"}
    model = client.get_registered_model(MODEL_NAME)
    assert {name: str(number) for name, number in model.aliases.items()} == {"production": "1"}
    assert str(version(client).version) == "2"
    assert registry.history(client, PRODUCTION) == [
        registry.entry(client.get_model_version(MODEL_NAME, "1"))
    ]


def test_runs_that_came_later_are_gone_from_every_experiment_and_earlier_ones_stay(
    client: MlflowClient, kept: str, experiment: str
) -> None:
    first = first_version.find(client)
    assert len(first_version.later_runs(client, first)) == 2
    assert kept in runs(client)
    first_version.restore(client, first)
    assert first_version.later_runs(client, first) == []
    assert kept in runs(client)
    # The experiment is there: who logs to it again is not told that it was deleted.
    assert client.get_experiment(experiment).lifecycle_stage == "active"


def test_models_that_were_logged_later_are_gone(client: MlflowClient, experiment: str) -> None:
    early = client.create_logged_model(experiment)
    time.sleep(0.002)
    version(client)
    time.sleep(0.002)
    client.create_logged_model(experiment)
    first_version.restore(client, first_version.find(client))
    left = client.search_logged_models([experiment])
    assert [model.model_id for model in left] == [early.model_id]


def test_doing_it_twice_is_doing_it_once(client: MlflowClient, kept: str) -> None:
    for _ in range(2):
        first_version.restore(client, first_version.find(client))
    (only,) = registry.versions(client)
    assert (str(only.version), only.run_id) == ("1", kept)


@pytest.mark.parametrize("cut_off_at", ["create_model_version", "delete_registered_model"])
def test_one_that_was_cut_off_can_be_repeated(
    client: MlflowClient, kept: str, cut_off_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object, **__: object) -> None:
        raise MlflowException("the connection broke")

    with monkeypatch.context() as broken:
        broken.setattr(client, cut_off_at, cut_off)
        with pytest.raises(MlflowException, match="the connection broke"):
            first_version.restore(client, first_version.find(client))
    first_version.restore(client, first_version.find(client))
    (only,) = registry.versions(client)
    assert (str(only.version), only.run_id, only.current_stage) == ("1", kept, PRODUCTION)
    assert [model.name for model in client.search_registered_models()] == [MODEL_NAME]


def test_without_a_first_version_nothing_is_done(client: MlflowClient) -> None:
    with pytest.raises(BadInput, match="no version 1 of classificador-produtos"):
        first_version.find(client)
    client.delete_model_version(MODEL_NAME, version(client).version)
    with pytest.raises(BadInput, match="leave VERSION out"):
        first_version.find(client)


def test_other_registered_models_stay(client: MlflowClient, kept: str) -> None:
    assert kept
    client.create_registered_model("outro")
    try:
        first_version.restore(client, first_version.find(client))
        assert {m.name for m in client.search_registered_models()} == {MODEL_NAME, "outro"}
    finally:
        client.delete_registered_model("outro")


def test_work_of_a_class_stays_and_a_students_reset_is_the_students(
    client: MlflowClient, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = client.create_experiment("ana", tags={registry.STUDENT: "Ana"})
    run_id = a_run(client, ana)
    first = first_version.find(client)
    assert run_id not in first_version.later_runs(client, first)
    monkeypatch.setattr(first_version, "MODEL_NAME", "ana")
    assert first_version.later_runs(client, first) == [run_id]
    assert kept


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("typed", ["y", None])
def test_whoever_does_not_say_yes_keeps_all(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, typed: str | None
) -> None:
    """None: Ctrl-D in place of an answer."""
    import reset

    def answer(_prompt: str) -> str:
        if typed is None:
            raise EOFError
        return typed

    before = runs(client)
    monkeypatch.setattr(tracking, "reach_registry", lambda: client)
    monkeypatch.setattr("sys.argv", ["reset.py"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    with pytest.raises(BadInput, match=r"nothing was deleted$"):
        reset.main()
    assert runs(client) == before
    assert len(registry.versions(client)) == 3


@pytest.mark.usefixtures("kept")
def test_without_anybody_to_ask_it_is_told_what_answers(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import reset

    monkeypatch.setattr(tracking, "reach_registry", lambda: client)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    monkeypatch.setattr("sys.argv", ["reset.py"])
    with pytest.raises(BadInput, match=r"to ask; --yes answers, with make FORCE=yes$"):
        reset.main()
    assert len(registry.versions(client)) == 3
    monkeypatch.setattr("sys.argv", ["reset.py", "--yes"])
    reset.main()
    assert len(registry.versions(client)) == 1
