"""hotserve beside what else one would serve the same model with, one worker each.

    make bench-serve
    .venv/bin/python -m benchmarks.serve --seconds 1 --rounds 1     a smoke run

One after another in one run on one machine: an empty ASGI app on hotserve's server software (the
most that an application can reach), hotserve, plain `mlflow models serve` (as MLflow installs it,
and with uvloop and httptools), BentoML and MLServer in environments of their own. The same load
generator (wrk) drives each at 1, 8 and 64 connections with single texts, and with batches; the
median of the rounds counts. Raw figures go to `benchmarks/results/serve.json`, table and plot to
`docs/`.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import other_servers, serve_report, servers
from benchmarks.batch import mlflow_server
from benchmarks.load_generator import Request, drive, need
from benchmarks.machine import machine, write
from benchmarks.servers import Server, wait_for_verdicts

ROOT = Path(__file__).resolve().parents[1]
MODEL = "models:/classificador-produtos/Production"
CONNECTIONS = (1, 8, 64)
SINGLES = 500
"""Different products in turn, so that no answer can be one that was given a moment ago."""
BATCHES = (100, 1_000, 10_000)
BATCH_CONNECTIONS = 8
CSV, JSON, PARQUET = "text/csv", "application/json", "application/vnd.apache.parquet"

GOALS = {
    "single CSV, requests/s: hotserve / mlflow": 40.0,
    "single JSON, requests/s: hotserve / mlflow": 22.0,
    "single CSV, requests/s: hotserve / empty app": 0.7,
    "single CSV, p99: mlflow / hotserve": 30.0,
    "batch of 1,000 lines, lines/s: hotserve / mlflow": 3.0,
    "Parquet, requests/s: hotserve / mlflow": 0.8,
    "cold start to the first answer: mlflow / hotserve": 0.83,
    "start to the first answer: mlflow / hotserve's lane": 5.0,
}
"""What the ratios at 8 connections have to be at least."""
WORKER_MB, ASLEEP_MB = 90.0, 130.0


def texts(count: int) -> list[str]:
    """The names of `count` products of the shipped data set, on and on."""
    with (ROOT / "trainer" / "produtos.csv").open(encoding="utf-8", newline="") as file:
        found = [row["nome"].replace('"', "") for row in csv.DictReader(file, delimiter=";")]
    return [found[place % len(found)] for place in range(count)]


def requests() -> dict[str, Request]:
    """Every request, by name. CSV has the header that plain MLflow needs for more than one."""
    all_texts = texts(max(BATCHES))
    frame = pd.DataFrame({"texto": all_texts[:100]})
    singles = all_texts[:SINGLES]
    made = [
        Request("csv", CSV, tuple(text.encode() for text in singles)),
        Request("json", JSON, tuple(_inputs([text]) for text in singles)),
        Request("parquet", PARQUET, (frame.to_parquet(),), 100),
    ]
    for size in BATCHES:
        some = all_texts[:size]
        quoted = "\n".join(["texto", *(f'"{text}"' for text in some)])
        made.append(Request(f"csv-{size}", CSV, (quoted.encode(),), size))
        made.append(Request(f"json-{size}", JSON, (_inputs(some),), size))
    return {request.name: request for request in made}


def _inputs(some: list[str]) -> bytes:
    return json.dumps({"inputs": some}, ensure_ascii=False).encode()


def plan(names: list[str], every: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Which request at how many connections: `every`, or what is usual for it."""
    for name in names:
        single = name in ("csv", "json")
        for connections in every or (CONNECTIONS if single else (BATCH_CONNECTIONS,)):
            yield name, connections


class Bench:
    """Starts each server, drives it, and keeps what came out."""

    def __init__(
        self, seconds: float, rounds: int, asked: Mapping[str, Request], every: Sequence[int] = ()
    ) -> None:
        self._seconds = seconds
        self._rounds = rounds
        self._requests = asked
        self._every = every
        self.figures: dict[str, dict[str, Any]] = {}

    def run(
        self,
        name: str,
        start: Callable[[], AbstractContextManager[Server]],
        asked: list[str],
        *,
        ready: Callable[[Server], object] = bool,
        versions: Callable[[], dict[str, str]] = dict,
    ) -> None:
        """Measure one server; one that can't be started is told instead."""
        print(f"{name}: starting (load {os.getloadavg()[0]:.1f})", flush=True)
        kept: dict[str, Any] = {"load_before": os.getloadavg()[0]}
        self.figures[name] = kept
        try:
            with start() as server:
                kept["first_answer_s"] = round(server.first_answer_s, 3)
                ready(server)
                kept["load"] = {}
                for request, connections in plan(asked, self._every):
                    kept["load"][f"{request} x{connections}"] = self._drive(
                        server, self._requests[request], connections
                    )
                kept["memory_mb"] = server.memory_mb()
                kept["front_workers_mb"] = server.memory_mb("hotserve.worker")
                kept["versions"] = versions()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            kept["not_measured"] = str(error)[-600:]
            print(f"{name}: not measured: {kept['not_measured']}", flush=True)

    def in_turns(
        self, names: Mapping[str, Callable[[], AbstractContextManager[Server]]], asked: list[str]
    ) -> None:
        """Measure servers again at one connection, where their figures differ by little.

        A machine's pace changes by more than that in the minutes between two servers, so these are
        all up, and asked in turns.
        """
        print(f"in turns: {', '.join(names)}", flush=True)
        with contextlib.ExitStack() as stack:
            up = {name: stack.enter_context(start()) for name, start in names.items()}
            for name, server in up.items():
                if name == "hotserve":
                    wait_for_verdicts(server)
            for request in (self._requests[name] for name in asked):
                for server in up.values():
                    drive(server.url, request, 1, 1)
                turns = [
                    {name: drive(each.url, request, 1, self._seconds) for name, each in up.items()}
                    for _ in range(2 * self._rounds + 1)
                ]
                for name in up:
                    median = self._median(request, 1, [turn[name] for turn in turns])
                    self.figures[name]["load"][f"{request.name} x1"] = median

    def _drive(self, server: Server, request: Request, connections: int) -> dict[str, Any]:
        drive(server.url, request, connections, 1)
        rounds = [
            drive(server.url, request, connections, self._seconds) for _ in range(self._rounds)
        ]
        return self._median(request, connections, rounds)

    def _median(
        self, request: Request, connections: int, rounds: list[dict[str, Any]]
    ) -> dict[str, Any]:
        median = {
            key: statistics.median(each[key] for each in rounds)
            for key in ("requests_per_second", "lines_per_second", "p50_ms", "p99_ms")
        }
        median["failed"] = sum(each["failed"] for each in rounds)
        print(
            f"  {request.name:>10} x{connections:<3} {median['requests_per_second']:>10,.1f} req/s"
            f"  p50 {median['p50_ms']:>9,.2f} ms  p99 {median['p99_ms']:>9,.2f} ms"
            f"  failed {median['failed']}",
            flush=True,
        )
        return median | {"rounds": rounds}


def ratios(figures: Mapping[str, Any]) -> dict[str, float]:
    """What `GOALS` asks for, where both sides were measured; plain MLflow is the quicker one."""
    candidates = [figures.get(name, {}) for name in ("mlflow", "mlflow with uvloop")]

    def of(name: str, request: str, figure: str) -> float:
        return float(figures[name]["load"][f"{request} x8"][figure])

    def best(request: str, figure: str, choose: Callable[..., float]) -> float:
        return float(
            choose(each["load"][f"{request} x8"][figure] for each in candidates if "load" in each)
        )

    def quicker_than(name: str) -> float:
        starts = [each["first_answer_s"] for each in candidates if "first_answer_s" in each]
        return float(min(starts) / figures[name]["first_answer_s"])

    made: dict[str, Callable[[], float]] = {
        "single CSV, requests/s: hotserve / mlflow": lambda: (
            of("hotserve", "csv", "requests_per_second") / best("csv", "requests_per_second", max)
        ),
        "single JSON, requests/s: hotserve / mlflow": lambda: (
            of("hotserve", "json", "requests_per_second") / best("json", "requests_per_second", max)
        ),
        "single CSV, requests/s: hotserve / empty app": lambda: (
            of("hotserve", "csv", "requests_per_second")
            / of("empty app", "csv", "requests_per_second")
        ),
        "single CSV, p99: mlflow / hotserve": lambda: (
            best("csv", "p99_ms", min) / of("hotserve", "csv", "p99_ms")
        ),
        "batch of 1,000 lines, lines/s: hotserve / mlflow": lambda: (
            of("hotserve", "csv-1000", "lines_per_second")
            / best("csv-1000", "lines_per_second", max)
        ),
        "Parquet, requests/s: hotserve / mlflow": lambda: (
            of("hotserve", "parquet", "requests_per_second")
            / best("parquet", "requests_per_second", max)
        ),
        "cold start to the first answer: mlflow / hotserve": lambda: quicker_than("hotserve"),
        "start to the first answer: mlflow / hotserve's lane": lambda: quicker_than(
            "hotserve restarted"
        ),
    }
    found = {}
    for name, calculate in made.items():
        try:
            found[name] = round(calculate(), 2)
        except (KeyError, ValueError, ZeroDivisionError):
            continue
    return found


@contextmanager
def model_folder(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A tracking server with a trained model; gives the model's files and the variables."""
    with mlflow_server(folder) as url:
        environment = os.environ | {"MLFLOW_TRACKING_URI": url}
        print("training a model", flush=True)
        for command in (
            [sys.executable, str(ROOT / "trainer" / "sweep.py"), "--first"],
            [
                *(sys.executable, "-m", "mlflow", "artifacts", "download", "-u", MODEL),
                *("-d", str(folder / "model")),
            ],
        ):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(done.stderr)
        yield next(folder.glob("model/**/MLmodel")).parent, environment


def main() -> None:
    """Measure, print the table, write the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement")
    parser.add_argument("--only", default="", help="names of servers, separated by commas")
    parser.add_argument("--no-write", action="store_true", help="leave results/serve.json alone")
    given = parser.parse_args()
    need()
    with (
        tempfile.TemporaryDirectory(prefix="bench-serve-") as name,
        model_folder(Path(name)) as (model, environment),
    ):
        folder = Path(name)
        asked = requests()
        bench = Bench(given.seconds, given.rounds, asked)
        everything = list(asked)
        json_only = [each for each in everything if each.startswith("json")]

        def other(which: str, *packages: str) -> Callable[[], AbstractContextManager[Server]]:
            def start() -> AbstractContextManager[Server]:
                binaries = other_servers.make_environment(folder, which, *packages)
                if which == "bentoml":
                    service = other_servers.bento_service(next(model.glob("**/*.skops")))
                    return other_servers.bentoml(folder, binaries, service)
                return other_servers.mlserver(folder, binaries, model)

            return start

        pins = [f"scikit-learn=={machine('scikit-learn')['packages']['scikit-learn']}", "skops"]
        mlflow = f"mlflow=={machine('mlflow')['packages']['mlflow']}"
        steps: dict[str, Callable[[], None]] = {
            "empty app": lambda: bench.run(
                "empty app", lambda: servers.empty(folder), ["csv", "json"]
            ),
            "hotserve": lambda: bench.run(
                "hotserve",
                lambda: servers.hotserve(folder, MODEL, environment),
                everything,
                ready=servers.wait_for_lane,
            ),
            "hotserve restarted": lambda: bench.run(
                "hotserve restarted", lambda: servers.hotserve(folder, MODEL, environment), []
            ),
            "hotserve asleep": lambda: bench.run(
                "hotserve asleep",
                lambda: servers.hotserve(
                    folder, MODEL, environment, options=("--process", "asleep", "--process-idle=1")
                ),
                [],
                ready=servers.wait_for_sleep,
            ),
            "mlflow": lambda: bench.run(
                "mlflow",
                lambda: servers.stock(folder, MODEL, quick=False, environment=environment),
                everything,
            ),
            "mlflow with uvloop": lambda: bench.run(
                "mlflow with uvloop",
                lambda: servers.stock(folder, MODEL, quick=True, environment=environment),
                everything,
            ),
            "bentoml": lambda: bench.run(
                "bentoml",
                other("bentoml", "bentoml>=1.4", *pins),
                json_only,
                versions=lambda: other_servers.versions(folder, "bentoml", "bentoml"),
            ),
            "mlserver": lambda: bench.run(
                "mlserver",
                other("mlserver", "mlserver", "mlserver-mlflow", mlflow, *pins),
                [each for each in everything if each != "parquet"],
                versions=lambda: other_servers.versions(
                    folder, "mlserver", "mlserver", "mlserver-mlflow"
                ),
            ),
        }
        chosen = [each for each in given.only.split(",") if each] or list(steps)
        for step in chosen:
            steps[step]()
    found = ratios(bench.figures)
    for title, ratio in found.items():
        verdict = "reached" if ratio >= GOALS[title] else "NOT reached"
        print(f"{title:<55}{ratio:>9,.2f}   at least {GOALS[title]:g}: {verdict}")
    workers = bench.figures.get("hotserve", {}).get("front_workers_mb", {})
    for megabytes in workers.values():
        print(f"{'memory of a front worker, MB':<55}{megabytes:>9,.1f}   at most {WORKER_MB:g}")
    if asleep := bench.figures.get("hotserve asleep", {}).get("memory_mb"):
        title, megabytes = "memory while the model's process sleeps, MB", sum(asleep.values())
        print(f"{title:<55}{megabytes:>9,.1f}   at most {ASLEEP_MB:g}")
    if not given.no_write:
        result = {
            "machine": machine("mlflow", "scikit-learn", "uvicorn", "uvloop", "httptools"),
            "seconds": given.seconds,
            "rounds": given.rounds,
            "ratios": found,
            "goals": GOALS,
            "servers": bench.figures,
        }
        print(f"written to {write('serve', result)}")
        serve_report.main()


if __name__ == "__main__":
    main()
