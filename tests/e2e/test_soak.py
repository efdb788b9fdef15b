"""The endurance tests in short: load, promotions and kills at once, always the same ones."""

from pathlib import Path

import pytest

from tests.e2e import soak_models
from tests.e2e.conftest import MlflowServer
from tests.e2e.soak import soak


def test_no_request_fails_while_versions_and_processes_come_and_go(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    report = soak(mlflow_server, tmp_path, minutes=0.4, seed=5)
    print(report.to_text())
    assert report.problems == []


@pytest.mark.slow
def test_no_answer_is_another_ones_while_many_models_are_promoted(
    fresh_mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    report = soak_models.soak(fresh_mlflow_server, tmp_path, models=6, minutes=0.4, seed=5)
    print(report.to_text())
    assert report.problems == []
