"""``server.one_process``: when uvicorn takes the place of `mlflow server`, and when it does not."""

import os
import subprocess
import sys
from typing import Any

import pytest

from server import one_process

UVICORN = [sys.executable, "-m", "uvicorn", "app"]


@pytest.fixture
def popen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What starts processes while MLflow's command line runs."""
    found: list[Any] = []
    monkeypatch.setattr("mlflow.cli.cli", lambda prog_name: found.append(subprocess.Popen))  # noqa: ARG005
    monkeypatch.setattr(subprocess, "Popen", subprocess.Popen)  # what it was, afterwards
    return found


def test_only_uvicorn_takes_its_place(popen: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    became: list[Any] = []

    def become(*given: Any) -> None:
        became.append(given)
        raise SystemExit

    monkeypatch.setattr(os, "execvpe", become)
    one_process.main()
    assert popen[0](["true"]).wait() == 0
    assert became == []
    with pytest.raises(SystemExit):
        popen[0](UVICORN, env={"A": "B"}, text=True)
    assert became == [(sys.executable, UVICORN, {"A": "B"})]


def test_with_jobs_it_stays(popen: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")
    one_process.main()
    assert popen == [subprocess.Popen]
    assert popen[0] is not one_process._TakingOurPlace
