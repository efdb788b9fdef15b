"""One server with both versions for all files of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from produtos import command
from produtos.registry import registry
from produtos.registry.registry import MODEL_NAME
from tests.e2e.batch_jobs import BatchJobs
from tests.e2e.conftest import MlflowServer, pointed_at, running_mlflow_server
from tests.e2e.two_versions.promoting import Promote
from tests.e2e.two_versions.versions import place, train_two_versions


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """Version 1, without accent handling, in Production; version 2, with it, in Staging."""
    with running_mlflow_server(tmp_path_factory.mktemp("two-versions") / "mlflow") as server:
        train_two_versions(server)
        yield server


@pytest.fixture(scope="module")
def client(server: MlflowServer) -> Iterator[MlflowClient]:
    with pointed_at(server) as client:
        place(client)
        yield client


@pytest.fixture
def batch(
    server: MlflowServer,
    client: MlflowClient,  # noqa: ARG001
    tmp_path: Path,
) -> BatchJobs:
    """Jobs in the test's own folder; the server is MLflow's own choice, too."""
    return BatchJobs(server, tmp_path)


@pytest.fixture
def promote(
    server: MlflowServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Promote]:
    """With version 1 in Production, version 2 in Staging, and nothing on record."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    # As `command.run` sets them: `main` is called without it here.
    for name, value in command.DEFAULTS.items():
        monkeypatch.setenv(name, value)
    with pointed_at(server) as client:
        promote = Promote(client, server.home / "produtos.csv", monkeypatch, capsys)
        place(client)
        for stage in (registry.PRODUCTION, registry.STAGING):
            client.set_registered_model_tag(MODEL_NAME, f"history.{stage}", "")
        for number in ("1", "2"):
            for tag in promote.version(number).tags:
                client.delete_model_version_tag(MODEL_NAME, number, tag)
        yield promote
