"""`make run` as a user starts it: by its command, in a folder of its own, on free ports."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.conftest import free_port
from tests.e2e.hotserve_process import PATIENCE
from tests.support.commands import ROOT, completed

READY = ("ready after", "pronto depois de")
"""What the block that ends the start-up begins with, in either language."""
START_WITHIN = 600.0
"""Seconds: the environment may have to be made first."""


@dataclass
class Servers:
    """MLflow and the API on this machine, however they were started."""

    mlflow_port: int
    serve_port: int

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def serve_url(self) -> str:
        return f"http://127.0.0.1:{self.serve_port}"

    def predict(self, csv: str, token: str = "") -> list[str]:
        """The categories that the API answers for a text/csv body."""
        headers = {"Content-Type": "text/csv"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"{self.serve_url}/invocations", csv.encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return list(json.load(answer)["predictions"])

    def mlflow(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call MLflow's REST API: a GET, or a POST of ``body``."""
        request = urllib.request.Request(
            f"{self.mlflow_url}/api/2.0/mlflow/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return dict(json.load(answer))

    def runs(self) -> list[dict[str, Any]]:
        """The runs of the sweep, without the one that holds them, as the API gives them."""
        name = "experiments/get-by-name?experiment_name=classificador-produtos"
        experiment = self.mlflow(name)["experiment"]["experiment_id"]
        found = self.mlflow("runs/search", {"experiment_ids": [experiment], "max_results": 1000})
        return [run for run in found["runs"] if "mlflow.parentRunId" in tags_of(run)]

    def versions(self) -> list[dict[str, Any]]:
        """The versions of the registered model, oldest first."""
        query = "model-versions/search?filter=name%3D'classificador-produtos'"
        return sorted(self.mlflow(query)["model_versions"], key=lambda v: int(v["version"]))


@dataclass
class Stack(Servers):
    """One `make run`.

    Attributes:
        process: the `make`, leader of a process group as in a terminal.
        home: its data folder.
        output: the file with all that it printed.
    """

    process: subprocess.Popen[bytes]
    home: Path
    output: Path

    def printed(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def processes(self) -> list[psutil.Process]:
        """Every process of this stack, known by its environment: orphans count, too."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("STACK_HOME") == str(self.home):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def wait_until_ready(self) -> None:
        """Return once the block that ends the start-up was printed."""
        deadline = time.monotonic() + START_WITHIN
        while not any(word in self.printed() for word in READY):
            assert self.process.poll() is None, f"make run ended:\n{self.printed()}"
            assert time.monotonic() < deadline, f"not ready:\n{self.printed()}"
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stop it as a terminal does, by a signal to the process group; returns the exit code."""
        os.killpg(self.process.pid, number)
        return self.process.wait(PATIENCE)


def metrics_of(run: dict[str, Any]) -> dict[str, float]:
    """The last value of each metric of a run."""
    return {metric["key"]: metric["value"] for metric in run["data"].get("metrics", [])}


def tags_of(run: dict[str, Any]) -> dict[str, str]:
    """The tags of a run."""
    return {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}


def parameters_of(run: dict[str, Any]) -> dict[str, str]:
    """The parameters of a run."""
    return {param["key"]: param["value"] for param in run["data"].get("params", [])}


def make_command(target: str, settings: Mapping[str, object]) -> list[str]:
    """`make target`, with settings behind it."""
    return ["make", target, *(f"{name}={value}" for name, value in settings.items())]


def run_in_checkout(
    command: Sequence[str | PathLike[str]], **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command of a user without settings in this checkout, to its end."""
    return completed(command, **{"cwd": ROOT, "env": make_run_environment(), **options})


def make_run_environment() -> dict[str, str]:
    """This process's environment without what a user's settings put there."""
    ours = re.compile(r"MLFLOW_|SERVE_PORT|STACK_|DATASET|HOTSERVE_")
    return {name: value for name, value in os.environ.items() if not ours.match(name)}


@contextmanager
def make_run(
    home: Path, output: Path, *, folder: Path = ROOT, **settings: object
) -> Iterator[Stack]:
    """Start `make run`; it is stopped, and all of it gone, when the block is left.

    Args:
        home: its data folder.
        output: the file for all that it prints.
        folder: the clone to start it in; this checkout unless told.
        settings: more of its variables.
    """
    ports = {"MLFLOW_PORT": free_port(), "SERVE_PORT": free_port()}
    given = {"STACK_HOME": home, **ports, **settings}
    with output.open("wb") as file:
        process = subprocess.Popen(
            make_command("run", given),
            cwd=folder,
            env=make_run_environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    mlflow_port, serve_port = (int(str(given[name])) for name in ports)
    stack = Stack(mlflow_port, serve_port, process, home, output)
    try:
        yield stack
    finally:
        if process.poll() is None:
            stack.stop(signal.SIGTERM)
        for left in stack.processes():
            left.kill()
