"""The runs of a sweep on a cluster, their work done in this process."""

import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest

from produtos.errors import BadInput
from produtos.grid import grid
from produtos.parameters import Parameters
from produtos.runs import sweep_on_spark, tracking
from produtos.runs.sweep_on_spark import train_on_spark
from produtos.runs.tracking import Tracker
from tests.unit.produtos.registry.models import dataset

DATA = dataset()
RUNS = grid(Parameters())


class Client:
    """Of a server with a run whose process was lost."""

    def __init__(self, *_: object) -> None:
        self.ended: list[tuple[str, str]] = []

    def search_runs(self, experiments: list[str], query: str) -> list[Any]:
        assert experiments == ["7"]
        assert query == "attributes.status = 'RUNNING' and tags.mlflow.parentRunId = 'pai'"
        return [SimpleNamespace(info=SimpleNamespace(run_id="lost"))]

    def set_terminated(self, run_id: str, status: str) -> None:
        self.ended.append((run_id, status))


class Session:
    """Stands for Spark: what is sent stays in a folder, and is done at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_ended = False

    def send(self, folder: str, name: str) -> None:
        (self.folder / name).mkdir()
        for file in Path(folder).iterdir():
            (self.folder / name / file.name).write_bytes(file.read_bytes())

    def at_once(self) -> int:
        return 3

    def submit(self, do: Callable[[Any], bytes], item: Any) -> Future[bytes]:
        future: Future[bytes] = Future()
        future.set_result(pickle.loads(pickle.dumps(do))(item))
        return future

    def end(self) -> None:
        self.is_ended = True


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Session]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://mlflow.example:5000")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "segredo")
    monkeypatch.setenv("MLFLOW_RUN_ID", "")
    monkeypatch.setattr(sweep_on_spark, "received", lambda name: str(tmp_path / name))
    monkeypatch.setattr(sweep_on_spark, "MlflowClient", Client)
    monkeypatch.setattr(mlflow, "set_experiment", lambda **_: None)
    monkeypatch.setattr(tracking, "source_tags", lambda: {"mlflow.user": "ana"})
    sweep_on_spark._dataset.cache_clear()
    yield Session(tmp_path)
    sweep_on_spark._dataset.cache_clear()
    mlflow.set_tracking_uri(before)


def test_runs_are_trained_there_in_their_order(
    spark: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def record(tracker: Tracker, run: Parameters, do: Any, *, tags: Any) -> Any:
        data, asked = do.args
        given.append((tracker.experiment_id, data.summary.digest, asked, tags))
        return run

    monkeypatch.setattr(sweep_on_spark, "record", record)
    client: Any = Client()
    session: Any = spark
    trained: Any = list(train_on_spark(session, Tracker(client, "7"), DATA, "pai", RUNS))
    assert trained == RUNS
    tags = {"mlflow.user": "ana", "mlflow.parentRunId": "pai"}
    assert given == [("7", DATA.summary.digest, run, tags) for run in RUNS]
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://mlflow.example:5000"
    assert spark.is_ended
    assert client.ended == [("lost", "KILLED")]


def test_bad_input_ends_the_sweep_and_closes_what_was_left(
    spark: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BadInput("too few products")

    monkeypatch.setattr(sweep_on_spark, "record", refuse)
    client: Any = Client()
    session: Any = spark
    with pytest.raises(BadInput, match="too few products"):
        list(train_on_spark(session, Tracker(client, "7"), DATA, "pai", RUNS))
    assert spark.is_ended
    assert client.ended == [("lost", "KILLED")]


def test_the_run_of_this_process_is_not_sent(
    spark: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, str]] = []

    def submit(do: Any, _: object) -> Future[bytes]:
        sent.append(do.keywords["settings"])
        future: Future[bytes] = Future()
        future.set_result(pickle.dumps("trained"))
        return future

    monkeypatch.setenv("MLFLOW_RUN_ID", "1a")
    monkeypatch.setenv("no_proxy", "mlflow.example")
    monkeypatch.setattr(spark, "submit", submit)
    client: Any = Client()
    session: Any = spark
    list(train_on_spark(session, Tracker(client, "7"), DATA, "pai", RUNS[:1]))
    [settings] = sent
    assert "MLFLOW_RUN_ID" not in settings
    assert settings["MLFLOW_TRACKING_TOKEN"] == "segredo"
    assert settings["no_proxy"] == "mlflow.example"
    assert all(name.startswith("MLFLOW_") for name in settings.keys() - {"no_proxy"})
