"""The servers that `benchmarks.serve` compares, one worker each, all on the same model folder.

Each is a context manager that gives its address once it answers. BentoML and MLServer are in
`other_servers`.
"""

from __future__ import annotations

import json
import os
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
from typing import Any

import psutil

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
    folder: Path,
    model: str,
    *,
    quick: bool,
    environment: Mapping[str, str],
    question: tuple[str, bytes] = QUESTION,
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
        question,
        {**environment, **chosen},
        folder,
        "mlflow-quick" if quick else "mlflow",
    ) as server:
        yield server


@contextmanager
def hotserve(
    folder: Path,
    model: str,
    environment: Mapping[str, str],
    *,
    question: tuple[str, bytes] = QUESTION,
    options: Sequence[str] = (),
) -> Iterator[Server]:
    """hotserve with one front worker; its cache is in `folder`, so a second start is a warm one."""
    port = free_port()
    command = [
        *(str(VENV / "hotserve"), "--workers", "1", "--cache", str(folder / "cache")),
        *options,
        *("mlflow", "models", "serve", "-m", model, "-p", str(port)),
        *("-h", "127.0.0.1", "--env-manager", "local", "-w", "1"),
    ]
    url = f"http://127.0.0.1:{port}/invocations"
    with running(command, url, question, environment, folder, "hotserve") as server:
        yield server


def wait_for_lane(server: Server) -> None:
    """Return once hotserve's lane is open, and nothing else is going on.

    Raises:
        RuntimeError: the lane stays shut.
    """
    lane = wait_for_verdicts(server)["lane"]
    if lane["state"] != "open":
        raise RuntimeError(f"the lane is shut: {lane['why']}")


def wait_for_sleep(server: Server) -> None:
    """Return once hotserve's lane is open and the model's process sleeps.

    Raises:
        RuntimeError: it does not come to that.
    """
    wait_for_lane(server)
    deadline = time.perf_counter() + START_SECONDS
    while _model(server)["process"]["state"] != "asleep" or server.memory_mb("scoring_server"):
        if time.perf_counter() > deadline:
            raise RuntimeError("the model's process does not sleep")
        time.sleep(0.2)


def _model(server: Server) -> dict[str, Any]:
    with urllib.request.urlopen(server.url.replace("invocations", "model")) as answer:
        model: dict[str, Any] = json.load(answer)
    return model


def wait_for_verdicts(server: Server) -> dict[str, Any]:
    """Return `/model` once hotserve's process is healthy, and nothing has to be found out any more.

    Raises:
        RuntimeError: it does not come to that.
    """
    deadline = time.perf_counter() + START_SECONDS
    while time.perf_counter() < deadline:
        model = _model(server)
        helpers = psutil.Process(server.pid).children(recursive=True)
        idle = not any("lane" in " ".join(each.cmdline()) for each in helpers)
        verdicts = {(model[each] or {}).get("state") for each in ("lane", "batching")}
        if model["state"] == "serving" and verdicts <= {"open", "shut"} and idle:
            return model
        time.sleep(0.2)
    raise RuntimeError("lane and batching come to no verdict")
