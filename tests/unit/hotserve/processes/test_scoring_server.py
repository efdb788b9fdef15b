"""MLflow's server without the process that only waits for it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from mlflow.models import Model
from mlflow.pyfunc import scoring_server as mlflows

from hotserve.processes import scoring_server

COMMAND = "uvicorn --host 127.0.0.1 --port 5001 mlflow.pyfunc.scoring_server.app:app"


class Became(Exception):
    """Another program took the place of this one."""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "MLmodel").touch()
    return str(tmp_path)


@pytest.fixture
def became(model: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was run, and how: nothing is."""
    found: list[Any] = []

    def execute(*call: Any) -> None:
        found.append(call)
        raise Became

    def get_cmd(*given: Any) -> tuple[str, dict[str, str]]:
        assert given[:2] == (model, 5001)
        return COMMAND, {"MODEL_OF_THIS_TEST": given[0]}

    monkeypatch.setattr(os, "execvpe", execute)
    monkeypatch.setattr(uvicorn, "main", lambda *call, **_: found.append(call))
    monkeypatch.setattr(mlflows, "get_cmd", get_cmd)
    monkeypatch.setattr(Model, "load", lambda _: SimpleNamespace(flavors={}))
    monkeypatch.delenv("MODEL_OF_THIS_TEST", raising=False)
    yield found
    os.environ.pop("MODEL_OF_THIS_TEST", None)


FOLDER = os.path.dirname(scoring_server.__file__)
ARGUMENTS = [*COMMAND.split()[1:-1], "--factory", "--app-dir", FOLDER, "invocations:application"]


def test_one_worker_is_this_process(became: list[Any], model: str) -> None:
    scoring_server.main(model, "5001", "60", "1")
    assert became == [(ARGUMENTS,)]
    assert os.environ["MODEL_OF_THIS_TEST"] == model


def test_several_workers_are_watched_by_a_process_without_mlflow(
    became: list[Any], model: str
) -> None:
    with pytest.raises(Became):
        scoring_server.main(model, "5001", "60", "2")
    variables = {"MODEL_OF_THIS_TEST": model}
    assert became == [(sys.executable, [sys.executable, "-m", "uvicorn", *ARGUMENTS], variables)]


def test_an_mlflow_that_serves_by_another_server_is_left_alone(
    became: list[Any], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflows, "get_cmd", lambda *_: ("gunicorn mlflow.server:app", {}))
    with pytest.raises(Became):
        scoring_server.main(model, "5001", "60", "1")
    assert became == [(sys.executable, [sys.executable, "-m", "gunicorn", "mlflow.server:app"], {})]


@pytest.mark.parametrize("name", ["invocations", "predict_stream"])
def test_both_applications_are_beside_it(name: str) -> None:
    assert os.path.isfile(os.path.join(FOLDER, f"{name}.py"))


def test_a_model_that_streams_has_an_application_of_its_own(
    became: list[Any], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flavors = {"python_function": {"streamable": True}}
    monkeypatch.setattr(Model, "load", lambda _: SimpleNamespace(flavors=flavors))
    scoring_server.main(model, "5001", "60", "1")
    assert became == [([*ARGUMENTS[:-1], "predict_stream:application"],)]
