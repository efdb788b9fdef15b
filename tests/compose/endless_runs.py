"""Logs runs and registers versions until it is stopped: `python endless_runs.py`, with the server's
address in `MLFLOW_TRACKING_URI`. Prints each run's id when the run has ended, and `VERSION RUN` for
each version.
"""

import itertools
import tempfile
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

NAME = "sem-fim"


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
        made = client.create_model_version(NAME, f"{run.info.artifact_uri}/modelo", run.info.run_id)
        print(made.version, run.info.run_id, flush=True)


if __name__ == "__main__":
    main()
