"""A real MLflow store in a file; making one takes seconds, so there is one for all tests."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from produtos.registry.registry import MODEL_NAME


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    client = MlflowClient(uri, uri)
    client.search_experiments()
    return client


@pytest.fixture
def client(store: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """A client of a store that holds no version and no experiment of the trainer's."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.tracking_uri)
    # `mlflow.set_experiment` writes it: not for the next test.
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store.tracking_uri)
    yield store
    mlflow.set_tracking_uri(before)
    for model in store.search_registered_models(f"name='{MODEL_NAME}'"):
        store.delete_registered_model(model.name)
    # One that is deleted keeps its name.
    for experiment in store.search_experiments():
        number = experiment.experiment_id
        if number != "0":
            store.rename_experiment(number, f"over {number}")
