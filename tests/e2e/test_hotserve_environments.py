"""The fast lane of a model that runs in an environment of its own, made by MLflow with uv."""

import importlib.metadata
import sys
from pathlib import Path

import mlflow

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, text_model
from tests.e2e.hotserve_process import Hotserve, running_hotserve

NAME = "hotserve-environments"
MADE_WITHIN = 900.0
"""Seconds for an environment whose packages may have to be downloaded first."""
OPTIONS = ["--workers", "1", "--start-timeout", str(MADE_WITHIN)]


def is_fast(hotserve: Hotserve) -> bool:
    answer = hotserve.predict("boneca de pano")
    assert answer.json() == {"predictions": ["brinquedo"]}
    return answer.headers["X-Hotserve-Lane"] == "fast"


def test_the_lane_opens_and_is_open_at_once_after_a_restart(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    registry = Registry(mlflow_server.url)
    needed = ("mlflow", "scikit-learn", "skops")
    mlflow.sklearn.save_model(
        text_model(),
        tmp_path / "model",
        pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in needed],
        serialization_format="skops",
    )
    registry.move(NAME, registry.register_folder(NAME, tmp_path / "model"), "Production")
    uri = f"models:/{NAME}/Production"
    environment = mlflow_server.environment(MLFLOW_ENV_ROOT=str(tmp_path / "environments"))
    more = ["--env-manager", "uv"]
    with running_hotserve(uri, tmp_path, environment, options=OPTIONS, more=more) as hotserve:
        hotserve.wait_until_serving(seconds=MADE_WITHIN)
        hotserve.wait_for("no verdict", lambda model: model["lane"]["state"] != "compiling")
        assert hotserve.model()["lane"]["why"] is None
        assert is_fast(hotserve)
        [server] = hotserve.server_processes()
        assert server.cmdline()[0].startswith(str(tmp_path / "environments"))
        assert server.cmdline()[0] != sys.executable

    with running_hotserve(uri, tmp_path, environment, options=OPTIONS, more=more) as hotserve:
        hotserve.wait_for("no answer", lambda model: model["version"] == "1")
        assert is_fast(hotserve)
        assert hotserve.model()["state"] == "starting", "the process was up before the lane"
