"""Endurance with many models: `make soak MODELS=20`, in short in test_soak.py.

One hotserve of `models:/*/Production`, batching on and fewer slots than there are models, while
models are promoted at random. Two of three have a lane, the others none. Half of the requests are
for models' processes: most for those of models without a lane, a few for those of sleepers.

Each row that is asked has a value of its own, and its answer must show it, with the name of the
model that was asked and the version that the answer's headers name. A row that the model refuses
gets its error, and nobody else does. It holds if all of that was so for each request, every model's
last promotion won, and requests did go together.
"""

from __future__ import annotations

import argparse
import http.client
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry
from tests.e2e.hotserve_process import Hotserve, eventually, running_hotserve
from tests.e2e.soak import run
from tests.e2e.soak_questions import names, problem, question, register
from tests.e2e.steady_load import PATIENCE
from tests.support.threads import working

VERSIONS = ("1", "2")
CLIENTS = 12
PAUSE = 0.02
PROMOTE_AFTER = 10.0
"""Seconds to the next promotion, on average."""
_SETTLE = 900.0
"""For all models' first versions, and their last ones: each has to start once."""


@dataclass
class Report:
    """What was done and what came of it.

    Attributes:
        answered: answers by who gave them (`fast`, `process`).
        rows: that these answered.
        refused: requests that had to be refused, and were.
        failures: what went wrong, a line each.
        awake: the most model's processes that were seen at a time.
        together: requests that went to a process together with others.
        problems: what did not hold, a line each.
    """

    models: int
    minutes: float
    seed: int
    answered: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    promotions: int = 0
    switches: int = 0
    awake: int = 0
    together: int = 0
    slowest: float = 0.0
    problems: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """The report for a person."""
        fast, process = self.answered["fast"], self.answered["process"]
        lines = [
            f"{self.models} models, {self.minutes:g} min, seed {self.seed}",
            f"requests    {fast + process + self.refused:,}, {self.rows:,} rows answered",
            f"  by        {fast:,} the fast lane, {process:,} a process",
            f"  refused   {self.refused:,}, as they had to be",
            f"together    {self.together:,}",
            f"failures    {len(self.failures)}",
            f"slowest     {self.slowest:.1f} s",
            f"promotions  {self.promotions}, of which {self.switches} took over",
            f"processes   {self.awake} at most",
        ]
        return "\n".join([*lines, *(f"NOT HELD: {each}" for each in self.problems)])


@contextmanager
def load(url: str, report: Report) -> Iterator[None]:
    """Ask from several clients at once until the block ends: lane, process, lane, …"""
    over = threading.Event()
    lock = threading.Lock()

    def ask(number: int) -> None:
        rng = random.Random(report.seed * 1000 + number)
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
        for_process = False
        while not over.wait(PAUSE):
            for_process = not for_process
            asked = question(rng, report.models, for_process=for_process)
            begun = time.monotonic()
            lane = ""
            try:
                headers = {"Content-Type": asked.content_type}
                connection.request("POST", asked.path, asked.body, headers)
                answer = connection.getresponse()
                body = answer.read()
                lane = answer.getheader("X-Hotserve-Lane", "")
                version = answer.getheader("X-Model-Version", "")
                wrong = problem(asked, answer.status, version, body)
                if asked.for_process and asked.values and lane != "process":
                    wrong = wrong or f"answered by '{lane}'"
            except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
                wrong = repr(error)
                connection.close()
            seconds = time.monotonic() - begun
            with lock:
                report.slowest = max(report.slowest, seconds)
                if wrong:
                    report.failures.append(f"{asked.path}, after {seconds:.1f} s: {wrong}")
                elif asked.values is None:
                    report.refused += 1
                else:
                    report.answered[lane] += 1
                    report.rows += len(asked.values)
        connection.close()

    with working(over, [partial(ask, number) for number in range(CLIENTS)]):
        yield


def soak(
    mlflow_server: MlflowServer, home: Path, *, models: int, minutes: float, seed: int
) -> Report:
    """Do it, in a registry of its own; `home` is the folder of hotserve's cache and log."""
    report = Report(models, minutes, seed)
    registry, rng = Registry(mlflow_server.url), random.Random(seed)
    lanes, everything = names(models, "lane"), [*names(models, "lane"), *names(models, "process")]
    with tempfile.TemporaryDirectory() as folder:
        for name in everything:
            for version in VERSIONS:
                saved = Path(folder, f"{name}-{version}")
                register(registry, name, version, saved, has_lane=name in lanes)
            registry.move(name, VERSIONS[0], "Production")
    slots = len(names(models, "process")) + 1
    with running_hotserve(
        "models:/*/Production",
        home,
        mlflow_server.environment(),
        options=["--workers", "2", "--max-processes", str(slots)],
        # A model that sleeps waits for a slot, and its start for a core.
        more=["--timeout", str(int(PATIENCE) - 20)],
    ) as hotserve:
        wanted = dict.fromkeys(everything, VERSIONS[0])
        _wait_for(hotserve, wanted)
        with load(hotserve.url, report):
            begun = time.monotonic()
            while time.monotonic() - begun < minutes * 60:
                name = rng.choice(everything)
                wanted[name] = next(each for each in VERSIONS if each != wanted[name])
                registry.move(name, wanted[name], "Production")
                report.promotions += 1
                _rest(hotserve, report, min(rng.expovariate(1 / PROMOTE_AFTER), 30.0))
            try:
                _wait_for(hotserve, wanted)
            except AssertionError as error:
                report.problems.append(str(error))
        _look(hotserve, report)
    _judge(report)
    return report


def _rest(hotserve: Hotserve, report: Report, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        report.awake = max(report.awake, len(hotserve.guarded_servers()))
        time.sleep(1)


def _wait_for(hotserve: Hotserve, wanted: dict[str, str]) -> None:
    """Return once each model is served in its version, and what is to be compared was."""

    def missing() -> list[str]:
        listed = hotserve.get("/models").json()["models"]
        served = {model["name"]: model for model in listed}
        return [
            name
            for name, version in wanted.items()
            if name not in served
            or (served[name]["version"], served[name]["state"]) != (version, "serving")
            or served[name]["lane"] not in ("open", "shut")
        ]

    eventually(lambda: not missing(), "not all are served in the version that is wanted", _SETTLE)


def _look(hotserve: Hotserve, report: Report) -> None:
    samples = hotserve.samples()
    report.together = int(samples.total("hotserve_batch_requests_sum"))
    report.switches = int(samples.total("hotserve_switches_total")) - report.models


def _judge(report: Report) -> None:
    if report.failures:
        first = report.failures[0]
        report.problems.append(f"{len(report.failures)} requests failed, the first: {first}")
    if not report.together:
        report.problems.append("no requests went to a process together")
    if not report.switches:
        report.problems.append("no promotion took over")
    if not report.refused or min(report.answered["fast"], report.answered["process"]) < 100:
        report.problems.append("too little was asked")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make soak MODELS=20", description=__doc__)
    parser.add_argument("--models", type=int, default=20)
    sys.exit(run(parser, soak))
