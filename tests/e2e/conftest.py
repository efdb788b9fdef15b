"""Real servers for the end-to-end tests, each on a free port and in a folder of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import mlflow
import psutil
import pytest
from mlflow import MlflowClient

from tests.support.commands import ROOT, completed

HEALTHY_WITHIN = 300.0
"""Seconds: a first start compiles MLflow's bytecode and migrates a database."""

_reserved: list[socket.socket] = []


@dataclass(frozen=True)
class MlflowServer:
    """A running tracking server.

    Attributes:
        url: its address, `http://127.0.0.1:<port>`, without a slash at the end.
        home: the folder with its database (`mlflow.db`), artifacts and log (`mlflow.log`).
        process: the leader of its process group.
    """

    url: str
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self.url.rsplit(":", 1)[1])

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of this process, pointed at this server, plus `more`."""
        return without_mlflow() | {"MLFLOW_TRACKING_URI": self.url} | more

    def mlflow_run(
        self, entry: str, experiment: str, **parameters: object
    ) -> subprocess.CompletedProcess[str]:
        """Run an entry point of the project, whose command is `python …`, to its end."""
        given = [word for pair in parameters.items() for word in ("-P", "=".join(map(str, pair)))]
        return completed(
            [
                *(sys.executable, "-m", "mlflow", "run", str(ROOT / "trainer"), "-e", entry),
                *("--env-manager", "local", "--experiment-name", experiment, *given),
            ],
            env=self.environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"),
            cwd=self.home,
            timeout=300,
        )


def without_mlflow() -> dict[str, str]:
    """The variables of this process that are not MLflow's."""
    return {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on and that nobody else is given.

    It stays bound without listening, as long as the tests run: a server that sets SO_REUSEADDR, as
    all of ours do, can still bind it, again and again, and the system gives it to no other test and
    to no outgoing connection between now and then.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _reserved.append(keeper)
    port: int = keeper.getsockname()[1]
    return port


def wait_until_healthy(
    url: str, process: subprocess.Popen[bytes], seconds: float = HEALTHY_WITHIN
) -> None:
    """Return once `url` answers 200; fail when `process` ends or time is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        if process.poll() is not None:
            raise AssertionError(f"the process behind {url} ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise AssertionError(f"{url} was not healthy after {seconds:.0f} s")
        time.sleep(0.05)


def stop_tree(process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    """End `process` and everything it started; SIGKILL for what is left after `seconds`."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
    except psutil.NoSuchProcess:
        process.wait()
        return
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=seconds)
    for survivor in alive:
        survivor.kill()
    psutil.wait_procs(alive, timeout=5)
    process.wait()


@contextmanager
def running(
    command: Sequence[str | PathLike[str]],
    url: str,
    environment: dict[str, str],
    *,
    folder: Path | None = None,
    log: Path = Path(os.devnull),
) -> Iterator[subprocess.Popen[bytes]]:
    """A server from when `url` answers 200 to the end of the block; it leads a process group."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until_healthy(url, process)
        yield process
    finally:
        stop_tree(process)


@contextmanager
def running_mlflow_server(home: Path, port: int | None = None) -> Iterator[MlflowServer]:
    """An `mlflow server` over SQLite and a local artifact folder in `home`.

    The same `home` given again is the same server restarted.
    """
    port = port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home}/mlflow.db"),
        *("--artifacts-destination", str(home / "artifacts")),
    ]
    environment = without_mlflow() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = home / "mlflow.log"
    with running(command, f"{url}/health", environment, folder=home, log=log) as process:
        yield MlflowServer(url, home, process)


@contextmanager
def pointed_at(server: MlflowServer) -> Iterator[MlflowClient]:
    """A client of that server, which is MLflow's own choice, too, until the block ends."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.url)
    yield MlflowClient(server.url)
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One tracking server for the whole session; tests use experiments of their own."""
    with running_mlflow_server(tmp_path_factory.mktemp("mlflow-server")) as server:
        yield server


@pytest.fixture
def fresh_mlflow_server(tmp_path: Path) -> Iterator[MlflowServer]:
    """A tracking server of one test's own, with nothing in it."""
    with running_mlflow_server(tmp_path / "mlflow-server") as server:
        yield server
