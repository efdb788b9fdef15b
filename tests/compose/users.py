"""Users of a running stack, and what they notice."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import requests

from tests.compose.stack import Stack
from tests.support.threads import working

_TEXT = "boneca de pano"
# Longer than what the fast lane takes: the model's process answers it.
_LONG_TEXT = _TEXT + " " * 20_001
_TEXTS = (_TEXT, _TEXT, _TEXT, _LONG_TEXT)
_TIMEOUT = 60.0
_RUN_TIMEOUT = 5.0


@dataclass
class Users:
    """Clients of the API, each on a connection that it keeps, and one who logs runs.

    Attributes:
        answered: requests that got the right answer.
        failed: what became of the others, a line each.
        finished: runs that MLflow took to their end: id and when it was begun.
        refused: of how many runs it did not.
    """

    stack: Stack
    experiment: str = ""
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    finished: dict[str, float] = field(default_factory=dict)
    refused: int = 0
    _last_good: dict[int, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator["Users"]:
        """All of them work as long as the block lasts."""
        self.experiment = self.stack.api("experiments/create", name=f"faults {time.time()}")[
            "experiment_id"
        ]
        caddy = f"https://localhost:{self.stack.settings['CADDY_PORT']}"
        urls = [*((self.stack.serve_url, text) for text in _TEXTS), (caddy, _TEXT)]
        clients = [partial(self._ask, number, *each) for number, each in enumerate(urls)]
        self._last_good = dict.fromkeys(range(len(urls)), 0.0)
        work: list[Callable[[], None]] = [*clients, self._log_runs]
        with working(self._over, work):
            yield self

    def are_served_since(self, moment: float) -> bool:
        """Whether each client had an answer, and a run came to its end, begun after `moment`."""
        return (
            min(self._last_good.values()) > moment
            and max(self.finished.values(), default=0.0) > moment
        )

    def at_once(self, of_process: bool) -> int:
        """Requests that can be under way at the model's process, or at one front worker."""
        return _TEXTS.count(_LONG_TEXT) if of_process else len(_TEXTS) + 1

    def lost(self, runs: list[str]) -> list[str]:
        """Of those finished runs, each that is not there whole."""
        return [run for run in runs if not self._is_whole(run)]

    def _ask(self, number: int, url: str, text: str) -> None:
        session = requests.Session()
        session.headers["Content-Type"] = "text/csv"
        while not self._over.wait(0.05):
            begun = time.monotonic()
            try:
                answer = session.post(
                    f"{url}/invocations", data=text.encode(), timeout=_TIMEOUT, verify=False
                )
            except requests.RequestException as error:
                self.failed.append(f"{url}: {error!r}")
                continue
            if (answer.status_code, "brinquedo" in answer.text) != (200, True):
                self.failed.append(f"{url}: {answer.status_code} {answer.text}")
                continue
            self.answered += 1
            self._last_good[number] = begun

    def _log_runs(self) -> None:
        while not self._over.wait(0.2):
            begun = time.monotonic()
            try:
                run = self._log_run()
            except (requests.RequestException, KeyError):
                self.refused += 1
            else:
                self.finished[run] = begun

    def _log_run(self) -> str:
        now = int(1000 * time.time())
        created = self._post("create", experiment_id=self.experiment, start_time=now)
        run: str = created["run"]["info"]["run_id"]  # type: ignore[index]
        metric = {"key": "acuracia", "value": 0.5, "timestamp": now, "step": 0}
        self._post("log-batch", run_id=run, metrics=[metric])
        requests.put(self._file(run), data=run, timeout=_RUN_TIMEOUT).raise_for_status()
        self._post("update", run_id=run, status="FINISHED", end_time=now)
        return run

    def _post(self, call: str, **body: object) -> dict[str, object]:
        url = f"{self.stack.mlflow_url}/api/2.0/mlflow/runs/{call}"
        answer = requests.post(url, json=body, timeout=_RUN_TIMEOUT)
        answer.raise_for_status()
        parsed: dict[str, object] = answer.json()
        return parsed

    def _file(self, run: str) -> str:
        folder = f"{self.stack.mlflow_url}/api/2.0/mlflow-artifacts/artifacts"
        return f"{folder}/{self.experiment}/{run}/artifacts/run.txt"

    def _is_whole(self, run: str) -> bool:
        found = self.stack.api(f"runs/get?run_id={run}")["run"]
        metrics = {metric["key"]: metric["value"] for metric in found["data"].get("metrics", [])}
        file = requests.get(self._file(run), timeout=60)
        is_finished = found["info"]["status"] == "FINISHED"
        return bool(is_finished and metrics == {"acuracia": 0.5} and file.text == run)
