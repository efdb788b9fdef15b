"""A registry of many models served by one hotserve: start, memory, and a promotion beside a load.

    make bench-registry
    .venv/bin/python -m benchmarks.registry --lanes 3 --processes 2 --awake 1     a smoke run

Registers models of two kinds in an MLflow server of its own: text classifiers like the product
classifier, which have a lane, and custom ones of 5 ms, which have none. One hotserve with one front
worker serves all of them (`models:/bench-*@production`): first with an empty cache, so that each
is fetched, started and compared; then again, as after a restart. Measured are the seconds until the
first and until all answer, the memory of its processes at rest and with some models' processes
awake, and the p99 of one model under load, by itself and while another model is promoted. Raw
figures go to `benchmarks/results/registry.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import psutil
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from benchmarks.batch import mlflow_server
from benchmarks.load_generator import Request, drive, need
from benchmarks.machine import machine, write
from benchmarks.serve import CSV, ROOT, texts
from benchmarks.serve_models import PYFUNC, table
from benchmarks.servers import VENV, free_port

ALIAS = "production"
CONNECTIONS = 8
PATIENCE = 7200.0
"""Seconds for a first start: each model's process starts once, one or two at a time."""


@dataclass(frozen=True)
class Sizes:
    """How many models of each kind, and how many of the second kind are asked."""

    lanes: int
    processes: int
    awake: int

    def names(self, kind: str) -> list[str]:
        """The registered models of a kind."""
        count = self.lanes if kind == "lane" else self.processes
        return [f"bench-{kind}-{number:03}" for number in range(count)]

    @property
    def all(self) -> int:
        """How many models there are."""
        return self.lanes + self.processes


def register(sizes: Sizes, folder: Path) -> None:
    """Log a model of each kind once, and register it under many names."""
    products = pd.read_csv(ROOT / "trainer" / "produtos.csv", sep=";").fillna("")
    words = products["nome"] + " " + products["descricao"]
    text = make_pipeline(CountVectorizer(strip_accents="unicode"), MultinomialNB())
    text.fit(list(words), list(products["categoria"]))
    script = folder / "pyfunc.py"
    script.write_text(PYFUNC, "utf-8")
    requirements = {"pip_requirements": ["mlflow", "scikit-learn"]}
    with mlflow.start_run():
        logged = {
            "lane": mlflow.sklearn.log_model(
                text, name="lane", serialization_format="skops", **requirements
            ),
            "process": mlflow.pyfunc.log_model(
                python_model=str(script),
                name="process",
                input_example=table().head(3),
                **requirements,
            ),
        }
    for kind, info in logged.items():
        for name in sizes.names(kind):
            promote(name, info.model_uri)


def promote(name: str, source: str) -> str:
    """Register a version more of a model, and move the alias to it."""
    client = mlflow.MlflowClient()
    version = mlflow.register_model(source, name).version
    client.set_registered_model_alias(name, ALIAS, version)
    return str(version)


class Server:
    """A running hotserve."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._pid = pid

    def models(self) -> list[dict[str, Any]]:
        """What `/models` lists; nothing before the port is open."""
        try:
            with urllib.request.urlopen(f"{self.url}/models", timeout=30) as answer:
                found: list[dict[str, Any]] = json.load(answer)["models"]
                return found
        except (urllib.error.URLError, OSError):
            return []

    def seconds_until(self, count: int, begun: float) -> float:
        """Until so many models answer, and what is to be known of their lanes is known."""
        while True:
            ready = [
                model
                for model in self.models()
                if model["version"] and model["lane"] in ("open", "shut")
            ]
            if len(ready) >= count:
                return round(time.perf_counter() - begun, 2)
            if time.perf_counter() - begun > PATIENCE:
                raise RuntimeError(f"{len(ready)} of {count} models answer")
            time.sleep(0.05)

    def version(self, name: str) -> str | None:
        """The version of a model that answers."""
        return {model["name"]: model["version"] for model in self.models()}.get(name)

    def ask(self, name: str) -> None:
        """Ask a model without a lane, whose process starts for it."""
        row = json.dumps({"dataframe_split": table().head(1).to_dict("split")}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.predictions(name), row, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert answer.headers["X-Hotserve-Lane"] == "process"

    def predictions(self, name: str) -> str:
        """Where a model is asked."""
        return f"{self.url}/models/{name}/invocations"

    def memory_mb(self) -> dict[str, float]:
        """Of its processes by what they are for: what is shared counts once, in parts (PSS)."""
        roles = {"worker.main": "front workers", "scoring_server": "models", "guard.py": "guards"}
        root = psutil.Process(self._pid)
        found: dict[str, float] = {}
        for process in [root, *root.children(recursive=True)]:
            command = " ".join(process.cmdline())
            role = next((role for part, role in roles.items() if part in command), "manager")
            memory = process.memory_full_info().pss / 1e6
            found[role] = round(found.get(role, 0.0) + memory, 1)
        return found


@contextmanager
def hotserve(folder: Path, environment: Mapping[str, str], slots: int) -> Iterator[Server]:
    """One hotserve of all models, its cache in `folder`."""
    port = free_port()
    command = [
        *(str(VENV / "hotserve"), "--workers", "1", "--cache", str(folder / "cache")),
        *("--max-processes", str(slots)),
        *("mlflow", "models", "serve", "-m", f"models:/bench-*@{ALIAS}", "-p", str(port)),
        *("-h", "127.0.0.1", "--env-manager", "local"),
    ]
    with (folder / "hotserve.log").open("ab") as log:
        process = subprocess.Popen(command, env=dict(environment), stdout=log, stderr=log)
    try:
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(60)


def under_load(server: Server, sizes: Sizes, seconds: float) -> dict[str, Any]:
    """The busiest model by itself, and while another one is promoted."""
    busiest, other = sizes.names("lane")[0], sizes.names("lane")[-1]
    singles = Request("csv", CSV, tuple(text.encode() for text in texts(500)))
    drive(server.predictions(busiest), singles, CONNECTIONS, 1)
    alone = drive(server.predictions(busiest), singles, CONNECTIONS, seconds)
    source = mlflow.MlflowClient().get_model_version(other, "1").source
    version = promote(other, str(source))
    rounds = []
    while server.version(other) != version:
        rounds.append(drive(server.predictions(busiest), singles, CONNECTIONS, seconds))
    return {"alone": alone, "while another is promoted": rounds}


def main() -> None:
    """Measure, print, write the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lanes", type=int, default=90, help="models with a lane")
    parser.add_argument("--processes", type=int, default=10, help="models without")
    parser.add_argument("--awake", type=int, default=3, help="of these, whose processes run")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement under load")
    given = parser.parse_args()
    need()
    sizes = Sizes(given.lanes, given.processes, given.awake)
    figures: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    with (
        tempfile.TemporaryDirectory(prefix="bench-registry-") as name,
        mlflow_server(Path(name)) as url,
    ):
        folder, environment = Path(name), {**os.environ, "MLFLOW_TRACKING_URI": url}
        mlflow.set_tracking_uri(url)
        print(f"registering {sizes.all} models", flush=True)
        register(sizes, folder)
        for title in ("empty cache", "restarted"):
            begun = time.perf_counter()
            with hotserve(folder, environment, max(1, sizes.awake)) as server:
                kept = figures[title] = {
                    "first_answers_s": server.seconds_until(1, begun),
                    "all_answer_s": server.seconds_until(sizes.all, begun),
                }
                print(f"{title}: {kept}", flush=True)
                if title == "restarted":
                    figures["memory_mb"] = {"nobody asked a process": server.memory_mb()}
                    for model in sizes.names("process")[: sizes.awake]:
                        server.ask(model)
                    figures["memory_mb"][f"{sizes.awake} awake"] = server.memory_mb()
                    print(f"memory: {figures['memory_mb']}", flush=True)
                    figures["load"] = under_load(server, sizes, given.seconds)
                    print(f"under load: {figures['load']}", flush=True)
    if sizes.all >= 100:
        result = {"machine": machine("mlflow", "scikit-learn"), "models": vars(given), **figures}
        print(f"written to {write('registry', result)}")


if __name__ == "__main__":
    main()
