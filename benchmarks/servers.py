"""The servers that `benchmarks.serve` compares, one worker each, all on the same model folder.

Each is a context manager that gives its address once it answers; BentoML and MLServer live in
environments of their own, made by uv.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

START_SECONDS = 180.0
VENV = Path(sys.executable).parent

EMPTY_APP = """\
import sys
import uvicorn

BODY = b'{"predictions": ["brinquedo"]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
START = {"type": "http.response.start", "status": 200, "headers": HEADERS}


async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send({"type": "http.response.body", "body": BODY})


uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="none", lifespan="off",
            interface="asgi3", proxy_headers=False, server_header=False, access_log=False,
            log_config=None)
"""

BENTO_SERVICE = """\
import bentoml
import skops.io

FILE = {file!r}


@bentoml.service(workers=1)
class Products:
    def __init__(self) -> None:
        self.pipeline = skops.io.load(FILE, trusted=[])

    @bentoml.api
    def predict(self, inputs: list[str]) -> list[str]:
        return self.pipeline.predict(inputs).tolist()
"""


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: where predictions are asked.
        first_answer_s: seconds from the start of its command to its first prediction.
        pid: of its command.
    """

    url: str
    first_answer_s: float
    pid: int

    def memory_mb(self, of: str = "") -> dict[str, float]:
        """Resident megabytes of its processes whose command line holds `of`, by pid."""
        root = psutil.Process(self.pid)
        return {
            str(process.pid): round(process.memory_info().rss / 1e6, 1)
            for process in [root, *root.children(recursive=True)]
            if of in " ".join(process.cmdline())
        }


def free_port() -> int:
    """A port of the loopback that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    url: str,
    question: tuple[str, bytes],
    environment: Mapping[str, str],
    folder: Path,
    log: str,
) -> Iterator[Server]:
    """Run a command until `url` has answered `question` (content type, body), then to the end."""
    began = time.perf_counter()
    with (folder / f"{log}.log").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=output, stderr=output
        )
    try:
        while not _answers(url, *question):
            if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                text = (folder / f"{log}.log").read_text("utf-8", "replace")
                raise RuntimeError(f"{command[0]} did not answer: {text[-1500:]}")
            time.sleep(0.02)
        yield Server(url, time.perf_counter() - began, process.pid)
    finally:
        family = []
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        for survivor in alive:
            survivor.kill()


def _answers(url: str, content_type: str, body: bytes) -> bool:
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


QUESTION = ("text/csv", b"texto\nboneca de pano\n")


@contextmanager
def empty(folder: Path) -> Iterator[Server]:
    """An ASGI app that answers without looking, on hotserve's server software and settings."""
    script, port = folder / "empty_app.py", free_port()
    script.write_text(EMPTY_APP, "utf-8")
    command = [sys.executable, str(script), str(port)]
    with running(
        command, f"http://127.0.0.1:{port}/", QUESTION, os.environ, folder, "empty"
    ) as server:
        yield server


@contextmanager
def stock(
    folder: Path, model: str, *, quick: bool, environment: Mapping[str, str]
) -> Iterator[Server]:
    """`mlflow models serve` on asyncio and h11, as MLflow installs it, or uvloop and httptools."""
    port = free_port()
    chosen = {
        "UVICORN_LOOP": "uvloop" if quick else "asyncio",
        "UVICORN_HTTP": "httptools" if quick else "h11",
        "UVICORN_ACCESS_LOG": "false",
        "PATH": f"{VENV}{os.pathsep}{os.environ['PATH']}",
    }
    command = [
        *(str(VENV / "mlflow"), "models", "serve", "-m", model, "-p", str(port)),
        *("-h", "127.0.0.1", "--env-manager", "local", "-w", "1"),
    ]
    with running(
        command,
        f"http://127.0.0.1:{port}/invocations",
        QUESTION,
        {**environment, **chosen},
        folder,
        "mlflow-quick" if quick else "mlflow",
    ) as server:
        yield server


@contextmanager
def hotserve(folder: Path, model: str, environment: Mapping[str, str]) -> Iterator[Server]:
    """hotserve with one front worker; its cache is in `folder`, so a second start is a warm one."""
    port = free_port()
    command = [
        *(str(VENV / "hotserve"), "--workers", "1", "--cache", str(folder / "cache")),
        *("mlflow", "models", "serve", "-m", model, "-p", str(port)),
        *("-h", "127.0.0.1", "--env-manager", "local", "-w", "1"),
    ]
    url = f"http://127.0.0.1:{port}/invocations"
    with running(command, url, QUESTION, environment, folder, "hotserve") as server:
        yield server


def wait_for_lane(server: Server) -> None:
    """Return once hotserve's process is healthy, its lane open, and nothing else is going on.

    Raises:
        RuntimeError: the lane stays shut.
    """
    deadline = time.perf_counter() + START_SECONDS
    while time.perf_counter() < deadline:
        with urllib.request.urlopen(server.url.replace("invocations", "model")) as answer:
            model = json.load(answer)
        if model["lane"] and model["lane"]["state"] == "shut":
            raise RuntimeError(f"the lane is shut: {model['lane']['why']}")
        helpers = psutil.Process(server.pid).children(recursive=True)
        idle = not any("lane" in " ".join(each.cmdline()) for each in helpers)
        idle = idle and model["batching"] and model["batching"]["state"] != "comparing"
        if model["state"] == "serving" and model["lane"]["state"] == "open" and idle:
            return
        time.sleep(0.2)
    raise RuntimeError("the lane did not open")


def make_environment(folder: Path, name: str, *packages: str) -> Path:
    """A virtual environment with `packages`; returns its `bin`.

    Raises:
        RuntimeError: they can't be installed together; the text is uv's.
    """
    place = folder / f"env-{name}"
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
def bentoml(folder: Path, binaries: Path, model_file: Path) -> Iterator[Server]:
    """A BentoML service that calls the pipeline itself, without MLflow around it."""
    port = free_port()
    service = folder / "bento_service.py"
    service.write_text(BENTO_SERVICE.format(file=str(model_file)), "utf-8")
    command = [
        *(str(binaries / "bentoml"), "serve", "bento_service:Products", "--host", "127.0.0.1"),
        *("--port", str(port)),
    ]
    environment = {
        **os.environ,
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }
    question = ("application/json", b'{"inputs": ["boneca de pano"]}')
    url = f"http://127.0.0.1:{port}/predict"
    with running(command, url, question, environment, folder, "bentoml") as server:
        yield server


@contextmanager
def mlserver(folder: Path, binaries: Path, model: Path) -> Iterator[Server]:
    """MLServer with its own MLflow runtime, inference in the server's process.

    The model's signature names parameters only. That runtime stops at a signature without inputs,
    so it gets a copy of the model without any.
    """
    home, copy = folder / "mlserver", folder / "mlserver-model"
    home.mkdir(exist_ok=True)
    shutil.copytree(model, copy, dirs_exist_ok=True)
    described = yaml.safe_load((copy / "MLmodel").read_text("utf-8"))
    described.pop("signature", None)
    (copy / "MLmodel").write_text(yaml.safe_dump(described), "utf-8")
    port = free_port()
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
    }
    (home / "settings.json").write_text(json.dumps(settings), "utf-8")
    (home / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "products",
                "implementation": "mlserver_mlflow.MLflowRuntime",
                "parameters": {"uri": str(copy)},
            }
        ),
        "utf-8",
    )
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    command = [str(binaries / "mlserver"), "start", str(home)]
    url = f"http://127.0.0.1:{port}/invocations"
    with running(command, url, QUESTION, environment, folder, "mlserver") as server:
        yield server
