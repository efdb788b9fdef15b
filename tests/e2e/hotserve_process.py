"""A real `hotserve` for the end-to-end tests, and what they ask of it."""

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import free_port, without_mlflow
from tests.support.samples import Samples

PATIENCE = 240.0
"""Seconds: a start of `mlflow models serve` takes from 5 to 15, more on a busy machine."""

HELD = ("--hold-timeout", "180")
"""Requests wait so long while a process is started again: less than who sends them."""

CSV = {"Content-Type": "text/csv"}


def eventually(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Return once `condition` holds; fail with `what` when time is up."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        time.sleep(0.05)


@dataclass
class Hotserve:
    """A running hotserve.

    Attributes:
        url: its address without a slash at the end.
        process: the manager.
        log: file with what it wrote to stderr.
        mark: value of a variable that all of its processes have.
        stdout: file with what it wrote there, if that was wanted.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    mark: str
    stdout: Path | None = None

    def predict(self, csv: str) -> requests.Response:
        """POST text/csv."""
        return self.post(csv.encode(), "text/csv")

    def post(self, body: bytes, content_type: str) -> requests.Response:
        """POST a body of some type."""
        headers = {"Content-Type": content_type}
        return requests.post(f"{self.url}/invocations", body, headers=headers, timeout=PATIENCE)

    def invoke(self, body: Any) -> requests.Response:
        """POST JSON."""
        return requests.post(f"{self.url}/invocations", json=body, timeout=PATIENCE)

    def get(self, path: str) -> requests.Response:
        """GET a path; waits for a first answer, as the port opens a moment after the start."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return requests.get(self.url + path, timeout=PATIENCE)
            except requests.ConnectionError:
                assert time.monotonic() < deadline, self.log.read_text()
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)

    def model(self) -> dict[str, Any]:
        """The answer of /model."""
        answer: dict[str, Any] = self.get("/model").json()
        return answer

    def samples(self) -> Samples:
        """What whichever worker got the connection says at /metrics."""
        answer = self.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return Samples(text_string_to_metric_families(answer.text))

    def wait_for(
        self,
        what: str,
        condition: Callable[[dict[str, Any]], object],
        seconds: float = PATIENCE,
    ) -> None:
        """Return once `condition` holds for the answer of /model."""
        try:
            eventually(lambda: condition(self.model()), what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.model()}\n{self.log.read_text()}") from None

    def wait_for_version(self, version: str) -> None:
        """Return once `version` answers and nothing else is on its way."""
        self.wait_for(
            f"version {version} does not answer",
            lambda m: m["version"] == version and m["state"] == "serving" and m["wanted"] is None,
        )

    def wait_until_serving(self, lane: str = "", seconds: float = PATIENCE) -> None:
        """Return once its process answers, and its lane is `open` or `shut` if one is named."""
        self.wait_for("it does not serve", lambda m: m["state"] == "serving", seconds)
        if lane:
            self.wait_for(f"the lane is not {lane}", lambda m: m["lane"]["state"] == lane)

    def wait_for_verdicts(self) -> None:
        """Return once it serves, and knows of lane and batching whether they are open."""
        self.wait_until_serving()
        self.wait_for("no verdict on the lane", lambda m: m["lane"]["state"] != "compiling")
        self.wait_for("no verdict", lambda m: m["batching"]["state"] != "comparing")

    def family(self) -> list[psutil.Process]:
        """Every process that it or a process of its started, itself included."""
        return [each for each in psutil.process_iter() if _has_mark(each, self.mark)]

    def server_processes(self) -> list[psutil.Process]:
        """The processes that serve a model."""
        return [p for p in self.family() if "scoring_server" in " ".join(_command(p))]

    def workers(self) -> list[psutil.Process]:
        """The front workers."""
        return [p for p in self.family() if "hotserve.worker.main" in _command(p)]

    def guards(self) -> list[psutil.Process]:
        """The guards of the server processes.

        Each leads a session. Its child has the same command line until it becomes another program.
        """
        return [p for p in self.family() if _is_guard(p)]

    def guarded_servers(self) -> list[psutil.Process]:
        """The server processes, each from its first moment to its last.

        Children of guards only: what one of them starts has its command line for a moment.
        """
        found = []
        for guard in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [p for p in guard.children() if "scoring_server" in " ".join(_command(p))]
        return found

    def nothing_is_left(self) -> bool:
        """Whether all of its processes are gone."""
        return not self.family()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _is_guard(process: psutil.Process) -> bool:
    try:
        leads = os.getsid(process.pid) == process.pid
    except OSError:
        return False
    return leads and any(part.endswith("/guard.py") for part in _command(process))


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get("MARK") == mark
    except (psutil.Error, OSError):
        return False


@contextmanager
def running_hotserve(
    uri: str | Path,
    home: Path,
    environment: dict[str, str] | None = None,
    *,
    options: Sequence[str] = (),
    more: Sequence[str] = (),
    stdout: Path | None = None,
) -> Iterator[Hotserve]:
    """`hotserve [options] mlflow models serve -m uri … [more]`, its cache and log in `home`.

    It leads a process group, as in a terminal.
    """
    port = free_port()
    mark = uuid.uuid4().hex
    home.mkdir(parents=True, exist_ok=True)
    log = home / f"hotserve-{mark[:6]}.log"
    with log.open("wb") as stderr, (stdout or Path(os.devnull)).open("ab") as told:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "hotserve", "--cache", str(home / "cache")),
                *(*HELD, *options),
                *(sys.executable, "-m", "mlflow", "models", "serve", "-m", uri),
                *("-p", str(port), "-h", "127.0.0.1", "--env-manager", "local", *more),
            ],
            env=(environment or without_mlflow()) | {"MARK": mark},
            stdin=subprocess.DEVNULL,
            stdout=told if stdout else None,
            stderr=stderr,
            process_group=0,
        )
    hotserve = Hotserve(f"http://127.0.0.1:{port}", process, log, mark, stdout)
    try:
        yield hotserve
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE)
        for survivor in hotserve.family():
            survivor.kill()


def ask_all(
    hotserve: Hotserve, asked: list[tuple[str, bytes]], clients: int
) -> list[tuple[int, bytes]]:
    """Status and body for each, from so many clients at once."""

    with requests.Session() as session, ThreadPoolExecutor(clients) as pool:

        def ask(each: tuple[str, bytes]) -> tuple[int, bytes]:
            headers, url = {"Content-Type": each[0]}, f"{hotserve.url}/invocations"
            answer = session.post(url, each[1], headers=headers, timeout=PATIENCE)
            return answer.status_code, answer.content

        return list(pool.map(ask, asked))
