"""Thirty students at one MLflow and one hotserve: memory, and a load on all of them at once.

    make bench-class
    make bench-class ARGS="--students 3 --seconds 2"     a smoke run

`make class` makes the places, in an MLflow server of its own on 127.0.0.1. Each student's model is
the product classifier, trained with another `test_size`; `make class-api` serves them by name. The
load is as many connections as there are students, each of which asks one model after the other for
one product, as fast as it is answered. Afterwards some of the models are asked what only their own
process can answer. Raw figures go to `benchmarks/results/classroom.json`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import psutil

from benchmarks.batch import mlflow_server
from benchmarks.load_generator import Request, drive, need
from benchmarks.machine import machine, write
from benchmarks.registry import Server
from benchmarks.serve import CSV, ROOT, texts
from benchmarks.servers import free_port
from produtos.data.dataset import load
from produtos.model import flavor
from produtos.parameters import Parameters
from produtos.runs.training import train

NO_LANE = b"boneca " * 3_000
"""A text that is too long for the lane."""


def make(target: str, folder: Path, url: str, **more: object) -> list[str]:
    """The command of the teacher, for an MLflow at `url`."""
    given = {
        "LOCAL": "yes",
        "MLFLOW_PORT": urlsplit(url).port,
        "STUDENTS": folder / "students.txt",
        "HAND_OUT": folder / "class.md",
    } | more
    return ["make", "--silent", target, *(f"{name}={value}" for name, value in given.items())]


def register(names: Sequence[str]) -> None:
    """Put a first version of everybody's model into Production."""
    dataset, client = load(), mlflow.MlflowClient()
    for number, name in enumerate(names):
        share = round(0.1 + 0.4 * number / len(names), 3)
        mlflow.set_experiment(name)
        trained = train(dataset, Parameters(test_size=share))
        with mlflow.start_run() as run:
            model_id = flavor.log(trained.pipeline, run.info.run_id)
        version = mlflow.register_model(f"models:/{model_id}", name).version
        with warnings.catch_warnings():
            # Deprecated, and what `make class-api` serves by.
            warnings.simplefilter("ignore", FutureWarning)
            client.transition_model_version_stage(name, version, "Production")


@contextmanager
def class_api(folder: Path, url: str) -> Iterator[Server]:
    """`make class-api`, its cache in `folder`."""
    port = free_port()
    with (folder / "hotserve.log").open("ab") as log:
        process = subprocess.Popen(
            make("class-api", folder, url, API_PORT=port),
            cwd=ROOT,
            env=os.environ | {"HOTSERVE_CACHE": str(folder / "cache")},
            stdout=log,
            stderr=log,
        )
    started = Server(f"http://127.0.0.1:{port}", process.pid)
    try:
        while not started.models():
            if process.poll() is not None:
                raise SystemExit((folder / "hotserve.log").read_text(encoding="utf-8"))
            time.sleep(0.05)
        # Without make itself.
        (hotserve,) = psutil.Process(process.pid).children()
        yield Server(started.url, hotserve.pid)
    finally:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children():
                child.terminate()
        process.wait(60)


def mlflow_mb() -> float:
    """Memory of the MLflow server that this process has started, shared parts in parts (PSS)."""
    here = psutil.Process().children()
    (server,) = (each for each in here if {"mlflow", "server"} <= set(each.cmdline()))
    family = [server, *server.children(recursive=True)]
    return round(sum(each.memory_full_info().pss for each in family) / 1e6, 1)


def ask_process(server: Server, name: str) -> None:
    """Ask a model what its lane does not answer."""
    request = urllib.request.Request(server.predictions(name), NO_LANE, {"Content-Type": CSV})
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.headers["X-Hotserve-Lane"] == "process"


def measure(server: Server, names: Sequence[str], seconds: float, awake: int) -> dict[str, Any]:
    """Memory at rest, three loads on all models at once, memory with some processes awake."""
    paths = tuple(f"/models/{name}/invocations" for name in names)
    singles = Request(
        "csv", CSV, tuple(text.encode() for text in texts(17 * len(names))), paths=paths
    )
    found: dict[str, Any] = {"memory_mb": {"at rest": server.memory_mb(), "mlflow": mlflow_mb()}}
    drive(server.url, singles, len(names), 1)
    found["load"] = [drive(server.url, singles, len(names), seconds) for _ in range(3)]
    found["memory_mb"]["after the load"] = server.memory_mb()
    for name in names[:awake]:
        ask_process(server, name)
    found["memory_mb"][f"{awake} processes awake"] = server.memory_mb()
    return found


def main() -> None:
    """Measure, print, write the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--awake", type=int, default=3, help="models whose processes are asked")
    parser.add_argument("--seconds", type=float, default=10, help="of each load")
    given = parser.parse_args()
    need()
    figures: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    names = [f"estudante-{number:02}" for number in range(1, given.students + 1)]
    with (
        tempfile.TemporaryDirectory(prefix="bench-class-") as home,
        mlflow_server(Path(home)) as url,
    ):
        folder = Path(home)
        mlflow.set_tracking_uri(url)
        (folder / "students.txt").write_text("\n".join(names), encoding="utf-8")
        begun = time.perf_counter()
        subprocess.run(make("class", folder, url), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        figures["make_class_s"] = round(time.perf_counter() - begun, 2)
        print(f"make class: {figures['make_class_s']} s; training", flush=True)
        register(names)
        for title in ("empty cache", "restarted"):
            begun = time.perf_counter()
            with class_api(folder, url) as server:
                figures[title] = {"all_answer_s": server.seconds_until(len(names), begun)}
                print(f"{title}: {figures[title]}", flush=True)
                if title == "restarted":
                    figures |= measure(server, names, given.seconds, min(given.awake, len(names)))
    print(f"memory: {figures['memory_mb']}\nload: {figures['load']}")
    if given.students >= 30:
        result = {"machine": machine("mlflow", "scikit-learn"), "given": vars(given), **figures}
        print(f"written to {write('classroom', result)}")


if __name__ == "__main__":
    main()
