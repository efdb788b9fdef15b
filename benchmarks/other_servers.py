"""BentoML and MLServer for `benchmarks.serve`, in environments of their own, made by uv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.servers import QUESTION, VENV, Server, free_port, running

BENTO_SERVICE = """\
import bentoml
import skops.io

FILE = {file!r}


@bentoml.service(workers=1)
class Service:
    def __init__(self) -> None:
        self.pipeline = skops.io.load(FILE, trusted=[])

    @bentoml.api
    def predict(self, inputs: list[str]) -> list[str]:
        return self.pipeline.predict(inputs).tolist()
"""
BENTO_QUESTION = ("application/json", b'{"inputs": ["boneca de pano"]}')


def bento_service(file: Path) -> str:
    """The source of a service that calls the pipeline in that file, without MLflow around it."""
    return BENTO_SERVICE.format(file=str(file))


def make_environment(folder: Path, name: str, *packages: str) -> Path:
    """A virtual environment with `packages`, if it is not there yet; returns its `bin`.

    Raises:
        RuntimeError: they can't be installed together; the text is uv's.
    """
    place = folder / f"env-{name}"
    if place.exists():
        return place / "bin"
    uv = str(VENV / "uv")
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
        [*(uv, "pip", "install", "--quiet", "--python", str(place / "bin/python")), *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1][:300])
    return place / "bin"


def versions(folder: Path, name: str, *packages: str) -> dict[str, str]:
    """Versions of packages in the environment that `make_environment` made."""
    script = (
        "import sys, json, importlib.metadata as m\n"
        "print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))"
    )
    python = str(folder / f"env-{name}" / "bin" / "python")
    done = subprocess.run([python, "-c", script, *packages], capture_output=True, check=True)
    told: dict[str, str] = json.loads(done.stdout)
    return told


@contextmanager
def bentoml(
    folder: Path, binaries: Path, service: str, question: tuple[str, bytes] = BENTO_QUESTION
) -> Iterator[Server]:
    """A BentoML service of that source, whose one class is called Service."""
    port = free_port()
    (folder / "bento_service.py").write_text(service, "utf-8")
    command = [
        *(str(binaries / "bentoml"), "serve", "bento_service:Service", "--host", "127.0.0.1"),
        *("--port", str(port)),
    ]
    environment = {
        **os.environ,
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }
    url = f"http://127.0.0.1:{port}/predict"
    with running(command, url, question, environment, folder, "bentoml") as server:
        yield server


@contextmanager
def mlserver(
    folder: Path,
    binaries: Path,
    model: Path,
    *,
    path: str = "invocations",
    question: tuple[str, bytes] = QUESTION,
    settings: Mapping[str, object] | None = None,
) -> Iterator[Server]:
    """MLServer with its own MLflow runtime, inference in the server's process.

    That runtime stops at a signature without inputs, so a model with such a one is given to it
    without any.

    Args:
        path: where predictions are asked.
        settings: more of the model's.
    """
    home, copy = folder / "mlserver", folder / "mlserver-model"
    home.mkdir(exist_ok=True)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(model, copy)
    described = yaml.safe_load((copy / "MLmodel").read_text("utf-8"))
    if not (described.get("signature") or {}).get("inputs"):
        described.pop("signature", None)
    (copy / "MLmodel").write_text(yaml.safe_dump(described), "utf-8")
    port = free_port()
    server_settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
    }
    (home / "settings.json").write_text(json.dumps(server_settings), "utf-8")
    (home / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "products",
                "implementation": "mlserver_mlflow.MLflowRuntime",
                "parameters": {"uri": str(copy)},
                **(settings or {}),
            }
        ),
        "utf-8",
    )
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    command = [str(binaries / "mlserver"), "start", str(home)]
    url = f"http://127.0.0.1:{port}/{path}"
    with running(command, url, question, environment, folder, "mlserver") as server:
        yield server
