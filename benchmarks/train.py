"""The sweep's ten runs against ten times `mlflow run` of a script as a tutorial has it.

The other side, in `benchmarks/chapter_project/`, is one process a run and lets MLflow guess each
model's requirements. It records less: no hold-out, no data set, no pictures. Both sides log to a
fresh `mlflow server` of their own on the same machine, in the environment that is installed
already: a sweep, five runs, a sweep, five runs, a sweep; the median of the sweeps counts.

    make bench-train
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from benchmarks.machine import machine, write
from tests.e2e.conftest import running_mlflow_server

ROOT = Path(__file__).resolve().parent.parent
TRAINER = ROOT / "trainer"
CHAPTER = ROOT / "benchmarks" / "chapter_project"
GRID = list(product(("sim", "não"), (0.1, 0.2, 0.3, 0.4, 0.5)))


@contextmanager
def fresh_server() -> Iterator[dict[str, str]]:
    """An empty tracking server; the environment of a process that logs to it."""
    home = Path(tempfile.mkdtemp(prefix="bench-train-"))
    try:
        with running_mlflow_server(home) as server:
            # `mlflow run` starts `python` from the path.
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            yield server.environment(PATH=path, NLTK_DATA=str(TRAINER / "nltk_data"))
    finally:
        shutil.rmtree(home, ignore_errors=True)


processor_seconds = {"sweeps": 0.0, "mlflow runs": 0.0}
"""Of all commands of a side: what it costs on a machine that has other things to do, too."""


def timed(command: list[str], environment: dict[str, str], side: str) -> float:
    """Seconds that a command takes; the benchmark ends if it fails."""
    began, used = time.perf_counter(), os.times()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds, now = time.perf_counter() - began, os.times()
    processor_seconds[side] += now.children_user - used.children_user
    processor_seconds[side] += now.children_system - used.children_system
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return round(seconds, 2)


def finished_runs(environment: dict[str, str]) -> list[Run]:
    """Runs with an accuracy, wherever on the server they are."""
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(everywhere, "metrics.acuracia > 0 and params.test_size != ''")
    return [run for run in runs if run.info.status == "FINISHED"]


def sweep(dataset: Path) -> tuple[float, float]:
    """Seconds of `python trainer/sweep.py`, and what a run took beyond training in the median."""
    with fresh_server() as environment:
        seconds = timed(
            [sys.executable, str(TRAINER / "sweep.py"), "--dataset", str(dataset)],
            environment,
            "sweeps",
        )
        runs = finished_runs(environment)
    assert len(runs) == len(GRID)
    recording = statistics.median(
        (run.info.end_time - run.info.start_time) / 1000 - run.data.metrics["training_seconds"]
        for run in runs
    )
    print(
        f"sweep of {len(GRID)} runs {seconds:8.1f} s, beyond training {recording:.2f} s a run",
        flush=True,
    )
    return seconds, round(recording, 2)


def mlflow_run(
    environment: dict[str, str], include_names: str, test_size: float, data: Path
) -> float:
    """Seconds of one `mlflow run` of the other side."""
    parameters = {"test_size": test_size, "include_names": include_names, "dataset": data}
    options = [f"{name}={value}" for name, value in parameters.items()]
    command = [sys.executable, "-m", "mlflow", "run", str(CHAPTER), "--env-manager", "local"]
    command += [word for option in options for word in ("-P", option)]
    seconds = timed(command, environment, "mlflow runs")
    print(f"mlflow run {options[0]} {options[1]} {seconds:8.1f} s", flush=True)
    return seconds


def main() -> int:
    """Measure, write `benchmarks/results/train.json` and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, default=TRAINER / "produtos.csv")
    dataset = parser.parse_args().dataset.resolve()
    load_before = os.getloadavg()[0]
    sweeps, theirs = [sweep(dataset)], []
    with fresh_server() as environment:
        for number, (include_names, test_size) in enumerate(GRID, start=1):
            theirs.append(mlflow_run(environment, include_names, test_size, dataset))
            # In between, so that a machine that gets busier does so for both.
            if number % (len(GRID) // 2) == 0:
                sweeps.append(sweep(dataset))
        assert len(finished_runs(environment)) == len(GRID)
    ours = [seconds for seconds, _ in sweeps]
    ratio = sum(theirs) / statistics.median(ours)
    path = write(
        "train",
        {
            "command": "make bench-train",
            "machine": machine("mlflow", "scikit-learn", "skops", "pandas"),
            "load_average_before": round(load_before, 2),
            "dataset": dataset.name,
            "sweep_seconds": ours,
            "sweep_seconds_median": statistics.median(ours),
            "recording_seconds_a_run": [recording for _, recording in sweeps],
            "mlflow_run_seconds": theirs,
            "mlflow_run_seconds_sum": round(sum(theirs), 2),
            "ratio": round(ratio, 1),
            "processor_seconds_a_sweep": round(processor_seconds["sweeps"] / len(ours), 2),
            "processor_seconds_of_mlflow_runs": round(processor_seconds["mlflow runs"], 2),
        },
    )
    print(
        f"ten runs: {statistics.median(ours):.1f} s as one sweep, {sum(theirs):.1f} s as ten "
        f"`mlflow run`: {ratio:.1f} times as long"
    )
    print(f"raw figures: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
