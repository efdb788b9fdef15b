"""Models that have no lane, served by hotserve and by what one would take instead.

    make bench-serve                                                    after benchmarks.serve
    .venv/bin/python -m benchmarks.serve_models --seconds 1 --rounds 1 --only hotserve,mlflow

A boosted tree over eight columns of numbers, and a custom pyfunc that costs 5 ms for each request
and 0.05 ms for each row, as a small neural model does: each logged with an example and a signature,
and registered. One row a request, CSV and JSON, at 1, 8 and 64 connections, by wrk; one worker of
each server, one server after another (hotserve and plain MLflow once more at one connection, all up
and asked in turns): hotserve, hotserve with `--batching off`, plain `mlflow
models serve` in its two forms, MLServer (its `/invocations`; its own protocol with adaptive
batching off and on), BentoML with batching. Raw figures go to
`benchmarks/results/serve-models.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks import other_servers, serve_report, servers
from benchmarks.batch import mlflow_server
from benchmarks.load_generator import Request, need
from benchmarks.machine import machine, write
from benchmarks.serve import CSV, JSON, Bench
from benchmarks.servers import Server

COLUMNS = [f"c{number}" for number in range(8)]
ROWS = 500
CONNECTIONS = (1, 8, 64)
PACKAGES: dict[str, str] = {
    name: version(name) for name in ("mlflow", "scikit-learn", "pandas", "cloudpickle")
}
MODELS = ("tree", "pyfunc")


class Goal(NamedTuple):
    """What a figure at so many connections has to be, beside the better of the others' so named."""

    figure: str
    connections: int
    other: str
    at_least: float

    @property
    def title(self) -> str:
        """In words."""
        both = ("hotserve", self.other) if self.figure == RATE else (self.other, "hotserve")
        of = f"{self.connections} connection{'s' if self.connections > 1 else ''}"
        return f"{WORDS[self.figure]}, {of}: {' / '.join(both)}"


RATE = "requests_per_second"
WORDS = {RATE: "requests/s", "p99_ms": "p99", "p50_ms": "p50"}
GOALS = (
    Goal(RATE, 8, "mlflow", 3.0),
    Goal(RATE, 64, "mlflow", 12.0),
    Goal(RATE, 8, "mlserver", 1.5),
    Goal(RATE, 64, "mlserver", 1.5),
    Goal("p99_ms", 64, "mlflow", 5.0),
    Goal("p50_ms", 1, "mlflow", 0.95),
)

PYFUNC = """\
import time
import mlflow


class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        end = time.perf_counter() + 0.005 + 0.00005 * len(model_input)
        while time.perf_counter() < end:
            pass
        return model_input.sum(axis=1).to_numpy()


mlflow.models.set_model(Model())
"""

BENTO = """\
import bentoml
import mlflow.pyfunc
import numpy as np
import pandas as pd

COLUMNS = {columns!r}


@bentoml.service(workers=1, traffic={{"timeout": 60}})
class Service:
    def __init__(self) -> None:
        self.model = mlflow.pyfunc.load_model({model!r})

    @bentoml.api(batchable=True, max_batch_size=128, max_latency_ms=10_000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(pd.DataFrame(rows, columns=COLUMNS)))
"""


def table() -> pd.DataFrame:
    """Rows that differ, so that no answer can be one that was given a moment ago."""
    return pd.DataFrame(np.random.default_rng(1).random((ROWS, 8)).round(4), columns=COLUMNS)


def register(name: str, folder: Path) -> None:
    """Log the model of that name and move it to Production, as anybody would."""
    rows = table()
    more = {
        "name": "model",
        "registered_model_name": name,
        "input_example": rows.head(3),
        "signature": infer_signature(rows, rows.sum(axis=1).to_numpy()),
        "pip_requirements": ["mlflow", "scikit-learn"],
    }
    with mlflow.start_run():
        if name == "tree":
            tree = HistGradientBoostingRegressor(max_iter=100).fit(rows, rows.sum(axis=1))
            mlflow.sklearn.log_model(tree, serialization_format="cloudpickle", **more)
        else:
            script = folder / "pyfunc.py"
            script.write_text(PYFUNC, "utf-8")
            mlflow.pyfunc.log_model(python_model=str(script), **more)
    mlflow.MlflowClient().set_registered_model_alias(name, "production", "1")


def requests() -> dict[str, Request]:
    """One row a request: MLflow's two forms, MLServer's own protocol (`v2`), and BentoML's."""
    rows = table().to_numpy().tolist()
    header = ",".join(COLUMNS)
    csv = tuple(f"{header}\n{','.join(map(str, row))}\n".encode() for row in rows)
    bodies: dict[str, list[dict[str, Any]]] = {
        "json": [{"dataframe_split": {"columns": COLUMNS, "data": [row]}} for row in rows],
        "v2": [
            {
                "parameters": {"content_type": "pd"},
                "inputs": [
                    {"name": name, "datatype": "FP64", "shape": [1, 1], "data": [value]}
                    for name, value in zip(COLUMNS, row, strict=True)
                ],
            }
            for row in rows
        ],
        "bento": [{"rows": [row]} for row in rows],
    }
    made = {name: Request(name, JSON, tuple(_bytes(each) for each in all_of_it))
            for name, all_of_it in bodies.items()}  # fmt: skip
    return {"csv": Request("csv", CSV, csv), **made}


def _bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def steps(
    model: str, folder: Path, environment: Mapping[str, str]
) -> dict[str, tuple[Callable[[], AbstractContextManager[Server]], list[str]]]:
    """How each server is started, and what it is asked."""
    asked = requests()
    uri = f"models:/{model}@production"
    csv, split = (CSV, asked["csv"].bodies[0]), (JSON, asked["json"].bodies[0])
    pins = [f"{package}=={number}" for package, number in PACKAGES.items()]

    def local() -> Path:
        found = sorted((folder / model).glob("**/MLmodel"))
        if not found:
            place = str(folder / model)
            os.environ["MLFLOW_TRACKING_URI"] = environment["MLFLOW_TRACKING_URI"]
            mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=place)
            found = sorted((folder / model).glob("**/MLmodel"))
        return found[0].parent

    def mlserver(path: str, question: tuple[str, bytes], **settings: object) -> Any:
        packages = ["mlserver", "mlserver-mlflow", *pins]
        binaries = other_servers.make_environment(folder, "mlserver", *packages)
        return other_servers.mlserver(
            folder, binaries, local(), path=path, question=question, settings=settings
        )

    def bento() -> Any:
        binaries = other_servers.make_environment(folder, "bentoml", "bentoml>=1.4", *pins)
        service = BENTO.format(columns=COLUMNS, model=str(local()))
        question = (JSON, asked["bento"].bodies[0])
        return other_servers.bentoml(folder, binaries, service, question)

    plain = partial(servers.stock, folder, uri, environment=environment, question=csv)
    own = partial(servers.hotserve, folder, uri, environment, question=csv)
    infer, adaptive = "v2/models/products/infer", {"max_batch_size": 128, "max_batch_time": 0.005}
    v2 = (JSON, asked["v2"].bodies[0])
    return {
        "hotserve": (own, ["csv", "json"]),
        "hotserve unbatched": (partial(own, options=("--batching", "off")), ["csv", "json"]),
        "mlflow": (partial(plain, quick=False), ["csv", "json"]),
        "mlflow with uvloop": (partial(plain, quick=True), ["csv", "json"]),
        "mlserver": (partial(mlserver, "invocations", split), ["csv", "json"]),
        "mlserver v2": (partial(mlserver, infer, v2), ["v2"]),
        "mlserver v2 batching": (partial(mlserver, infer, v2, **adaptive), ["v2"]),
        "bentoml batching": (bento, ["bento"]),
    }


def ratios(figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What `GOALS` asks for, for CSV and for JSON, where both sides were measured."""

    def measured(names: Iterable[str], form: str, goal: Goal) -> list[float]:
        """Where a server answered at all."""
        return [
            float(figures[name]["load"][asked][goal.figure])
            for name in names
            for asked in (f"{form} x{goal.connections}", f"v2 x{goal.connections}")
            if figures[name].get("load", {}).get(asked, {}).get(RATE)
        ]

    made: dict[str, dict[str, float]] = {"csv": {}, "json": {}}
    for form, kept in made.items():
        for goal in GOALS:
            own = measured(figures.keys() & {"hotserve"}, form, goal)
            others = measured((n for n in figures if n.startswith(goal.other)), form, goal)
            if own and others:
                is_rate = goal.figure == RATE
                ratio = own[0] / max(others) if is_rate else min(others) / own[0]
                kept[goal.title] = round(ratio, 2)
    return made


def main() -> None:
    """Measure, print the ratios, write the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement")
    parser.add_argument("--models", default=",".join(MODELS), help="which of the two")
    parser.add_argument("--only", default="", help="names of servers, separated by commas")
    parser.add_argument("--no-write", action="store_true", help="leave the results alone")
    given = parser.parse_args()
    need()
    result: dict[str, Any] = {
        "machine": machine("mlflow", "scikit-learn", "pandas", "uvicorn", "uvloop", "httptools"),
        "seconds": given.seconds,
        "rounds": given.rounds,
        "goals": {goal.title: goal.at_least for goal in GOALS},
    }
    with (
        tempfile.TemporaryDirectory(prefix="bench-serve-") as name,
        mlflow_server(Path(name)) as url,
    ):
        folder, environment = Path(name), os.environ | {"MLFLOW_TRACKING_URI": url}
        mlflow.set_tracking_uri(url)
        for model in given.models.split(","):
            register(model, folder)
            print(f"— {model} —", flush=True)
            bench = Bench(given.seconds, given.rounds, requests(), every=CONNECTIONS)
            all_steps = steps(model, folder, environment)
            for server, (start, asked) in all_steps.items():
                if given.only and server not in given.only.split(","):
                    continue
                ready = servers.wait_for_verdicts if server.startswith("hotserve") else bool
                bench.run(server, start, asked, ready=ready)
            turns = ("hotserve", "mlflow", "mlflow with uvloop")
            if all("load" in bench.figures.get(name, {}) for name in turns):
                bench.in_turns({name: all_steps[name][0] for name in turns}, ["csv", "json"])
            found = ratios(bench.figures)
            for form, each in found.items():
                for goal in GOALS:
                    if (ratio := each.get(goal.title)) is not None:
                        verdict = "reached" if ratio >= goal.at_least else "NOT reached"
                        line = f"{form:<5}{goal.title:<62}{ratio:>7,.2f}"
                        print(f"{line}   at least {goal.at_least:g}: {verdict}")
            result[model] = {"servers": bench.figures, "ratios": found}
    if not given.no_write:
        print(f"written to {write('serve-models', result)}")
        serve_report.main()


if __name__ == "__main__":
    main()
