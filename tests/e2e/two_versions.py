"""The chapter's two versions: without accent handling in Production, with it in Staging."""

import re
import subprocess
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient

from produtos import registry
from tests.e2e.conftest import MlflowServer

TRAIN = Path(__file__).resolve().parents[2] / "trainer" / "train.py"


def train_two_versions(server: MlflowServer) -> None:
    """Train both by command, register them as from the web page, and place them."""
    client = MlflowClient(server.url, server.url)
    for strip_accents, stage in (("não", registry.PRODUCTION), ("sim", registry.STAGING)):
        trained = subprocess.run(
            [sys.executable, str(TRAIN), "--strip_accents", strip_accents],
            env=server.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert trained.returncode == 0, trained.stderr
        found = re.search(r"models:/(m-\w+)", trained.stdout)
        assert found, trained.stdout
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(server.url)
        try:
            version = mlflow.register_model(f"models:/{found[1]}", registry.MODEL_NAME)
        finally:
            mlflow.set_tracking_uri(before)
        registry.move(client, version, stage)
