"""The link that lists an experiment's runs by the figure that they are compared by."""

import json
import re

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from produtos.parameters import Parameters
from produtos.runs import tracking, view
from produtos.runs.tracking import Tracker


def test_view_is_kept_with_the_experiment_and_names_what_runs_have(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    tracker = tracking.connect()
    view.share(tracker)
    state = json.loads(client.get_experiment(tracker.experiment_id).tags[view.TAG])
    assert state["orderByKey"] in state["selectedColumns"]
    parameters = re.findall(r"params\.`(\w+)`", " ".join(state["selectedColumns"]))
    assert parameters
    assert set(parameters) <= set(Parameters().logged())


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/#/experiments/7/runs?"),
        ("https://ana:segredo@mlflow.example.org", "https://mlflow.example.org/#/experiments/7"),
        ("http://mlflow:5000", "http://localhost:5001/#/experiments/7/runs?"),
        ("sqlite:///mlflow.db", ""),
    ],
)
def test_address_is_that_of_the_experiment(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, server: str, address: str
) -> None:
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: server)
    monkeypatch.setenv(view.PAGE, "http://mlflow:5000 http://localhost:5001")
    given = view.address(Tracker(client, "7"))
    assert given.startswith(address)
    assert bool(given) == bool(address)
