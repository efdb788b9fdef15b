"""Runs and versions that are logged one after the other until somebody stops it.

`python endless_runs.py` logs them, to the server in `MLFLOW_TRACKING_URI`; it prints each run's id
when the run has ended.
"""

import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from tests.compose.stack import wait_until
from tests.support.commands import ROOT

NAME = "sem-fim"


@contextmanager
def endless_runs(url: str, out: Path) -> Iterator[None]:
    """Log runs for as long as the block lasts, which begins after the fourth."""
    with out.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.compose.endless_runs"],
            cwd=ROOT,
            env={
                "PATH": "/usr/bin:/bin",
                "MLFLOW_TRACKING_URI": url,
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            stdout=said,
        )
        try:
            wait_until(lambda: len(finished(out)) > 3, "runs to be logged")
            yield
            assert process.poll() is None, "it ended before the block did"
        finally:
            process.kill()
            process.wait()


def finished(out: Path) -> set[str]:
    """The runs that have ended, as the client was told."""
    return set(re.findall(r"^([0-9a-f]{32})\n", out.read_text(encoding="utf-8"), re.MULTILINE))


def main() -> None:
    client = mlflow.MlflowClient()
    mlflow.set_experiment(NAME)
    try:
        client.create_registered_model(NAME)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for number in itertools.count():
        with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
            Path(folder, "MLmodel").write_text(run.info.run_id, encoding="utf-8")
            Path(folder, "pesos.bin").write_bytes(number.to_bytes(4, "big") * 50_000)
            mlflow.log_metric("acuracia", 0.9)
            mlflow.log_artifacts(folder, "modelo")
        print(run.info.run_id, flush=True)
        client.create_model_version(NAME, f"{run.info.artifact_uri}/modelo", run.info.run_id)


if __name__ == "__main__":
    main()
