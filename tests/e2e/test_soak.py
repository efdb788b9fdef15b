"""The endurance test in short: load, promotions and kills at once, always the same ones."""

from pathlib import Path

import pytest

from tests.e2e.conftest import MlflowServer
from tests.e2e.soak import soak

# MLflow has deprecated stages; they are what is followed here.
pytestmark = pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")


def test_no_request_fails_while_versions_and_processes_come_and_go(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    report = soak(mlflow_server, tmp_path, minutes=0.4, seed=5)
    print(report.to_text())
    assert report.problems == []
