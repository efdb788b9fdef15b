"""Endurance: `python -m tests.e2e.soak --minutes 10`, in short in test_soak.py.

A steady load on a hotserve of its own, while versions are promoted every few seconds, most of them
before the one before was up, and its children are killed at random: the server processes, their
guards, the helpers that fetch, compile and compare. Front workers are left alone: a request that is
under way in one fails with it, whoever the server is.

It holds if no request failed, every answer was of one version and the one that it named, the last
promotion won with no process left of the others, and the memory of manager and workers did not
grow.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.conftest import MlflowServer, running_mlflow_server
from tests.e2e.hotserve_models import Registry, text_model
from tests.e2e.hotserve_process import Hotserve, eventually, running_hotserve
from tests.e2e.steady_load import Load, steady_load

PROMOTE_AFTER = (1.0, 2.0, 3.0, 5.0, 20.0)
"""Seconds to the next promotion, one of these: less than a start takes, and more."""
KILL_AFTER = (1.0, 3.0, 6.0, 12.0)
START = 6.0
"""Seconds that a first start takes where these are meant as they stand.

Where it takes longer, so do they: a process that is always killed before it is up can answer
nobody, whoever the server is. For the same reason there are not more than `MOST_IN_A_ROW`.
"""
MOST_IN_A_ROW = 3
"""Kills after which a process must have been up again before there are more."""
SAMPLE_AFTER = 2.0
_SETTLE = 180.0


def allowed_growth(minutes: float) -> float:
    """Megabytes by which a process may grow over that time and still count as flat."""
    return 4.0 + 0.2 * minutes


@dataclass
class Report:
    """What was done and what came of it.

    Attributes:
        pace: by how much this machine is slower than the one that the times are meant for.
        memory: for each process (`manager`, `worker <pid>`) samples of (seconds since the start,
            megabytes that are its own).
        problems: what did not hold, a line each.
    """

    minutes: float
    seed: int
    load: Load
    pace: float
    promotions: int = 0
    switches: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)

    def growth(self, process: str) -> tuple[float, float]:
        """Megabytes by the line fitted through the samples after the first third, and minutes."""
        samples = [s for s in self.memory[process] if s[0] >= self.minutes * 60 / 3]
        if len(samples) < 2:
            return 0.0, 0.0
        middle = sum(at for at, _ in samples) / len(samples)
        spread = sum((at - middle) ** 2 for at, _ in samples)
        slope = sum((at - middle) * size for at, size in samples) / spread
        span = samples[-1][0] - samples[0][0]
        return slope * span, span / 60

    def to_text(self) -> str:
        """The report for a person."""
        lanes = Counter[str]()
        for (_, lane), count in self.load.answered.items():
            lanes[lane] += count
        by = f"{lanes['fast']:,} by the fast lane, {lanes['process']:,} by the process"
        kills = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kills.items()))
        lines = [
            f"{self.minutes:g} min, seed {self.seed}, pauses x{self.pace:.1f}",
            f"requests    {self.load.requests:,} ({by})",
            f"failures    {len(self.load.failures)}",
            f"promotions  {self.promotions}, of which {self.switches} took over",
            f"kills       {sum(self.kills.values())} ({kills})",
            "memory, MB: at the start, at the end, growth after the first third",
        ]
        for process, samples in self.memory.items():
            grown, minutes = self.growth(process)
            lines.append(
                f"  {process:14} {samples[0][1]:6.1f} {samples[-1][1]:6.1f} {grown:+6.1f} "
                f"in {minutes:.1f} min (at most {allowed_growth(minutes):.1f})"
            )
        return "\n".join([*lines, *(f"NOT HELD: {each}" for each in self.problems)])


def soak(mlflow: MlflowServer, home: Path, *, minutes: float, seed: int) -> Report:
    """Do it, on a registered model of its own; `home` is the folder of hotserve's cache and log."""
    name = f"soak-{seed}"
    registry = Registry(mlflow.url)
    versions = [registry.register(name, text_model(f" {number}")) for number in "123"]
    registry.move(name, versions[0], "Production")
    begun = time.monotonic()
    with running_hotserve(
        f"models:/{name}/Production",
        home,
        mlflow.environment(),
        options=["--workers", "2", "--poll-interval", "0.3", "--hold-timeout", "120"],
    ) as hotserve:
        hotserve.wait_for_version(versions[0])
        pace = max(1.0, (time.monotonic() - begun) / START)
        with steady_load(hotserve.url) as load:
            report = Report(minutes, seed, load, pace)
            # A worker's first batch in the lane brings in numpy, which is no growth.
            eventually(lambda: load.count(versions[0], "fast") > 100, "the lane does not open")
            promote = _promoter(registry, name, versions, random.Random(seed), report)
            _disturb(hotserve, promote, random.Random(seed + 1), report)
            _settle(hotserve, promote, report)
            model = hotserve.model()
        _judge(report, model["version"])
    return report


def _promoter(
    registry: Registry, name: str, versions: list[str], rng: random.Random, report: Report
) -> Callable[[], str]:
    now = versions[0]

    def promote() -> str:
        nonlocal now
        now = rng.choice([each for each in versions if each != now])
        registry.move(name, now, "Production")
        report.promotions += 1
        return now

    return promote


def _disturb(
    hotserve: Hotserve, promote: Callable[[], str], rng: random.Random, report: Report
) -> None:
    begun = time.monotonic()
    next_promotion = next_kill = next_sample = 0.0
    in_a_row = 0
    seen = hotserve.model()["since"]
    while (at := time.monotonic() - begun) < report.minutes * 60:
        if at >= next_sample:
            _sample(hotserve, at, report)
            since = hotserve.model()["since"]
            report.switches += since != seen
            seen = since
            next_sample = at + SAMPLE_AFTER
        if at >= next_promotion:
            promote()
            next_promotion = at + rng.choice(PROMOTE_AFTER) * report.pace
        if at >= next_kill:
            if hotserve.model()["state"] == "serving":
                in_a_row = 0
            if in_a_row < MOST_IN_A_ROW and (kind := _kill_one(hotserve, rng)):
                report.kills[kind] += 1
                in_a_row += 1
            next_kill = at + rng.choice(KILL_AFTER) * report.pace
        time.sleep(0.1)


def _settle(hotserve: Hotserve, promote: Callable[[], str], report: Report) -> None:
    """One more promotion: it has to win, and no process may be left of the others."""
    last = promote()
    try:
        eventually(lambda: _is_served(hotserve, last), f"version {last} is not served", _SETTLE)
        report.switches += 1
        fast, process = (report.load.count(last, lane) for lane in ("fast", "process"))
        eventually(lambda: report.load.count(last, "fast") > fast, "the lane is shut")
        eventually(lambda: report.load.count(last, "process") > process, "no process answers")
        eventually(
            lambda: len(hotserve.server_processes()) == 1 == len(hotserve.guards()),
            "processes of other versions are left",
            _SETTLE,
        )
    except AssertionError as error:
        report.problems.append(f"{error}; {hotserve.model()}")


def _is_served(hotserve: Hotserve, version: str) -> bool:
    model = hotserve.model()
    return (model["version"], model["state"], model["wanted"]) == (version, "serving", None)


def _sample(hotserve: Hotserve, at: float, report: Report) -> None:
    workers = {f"worker {each.pid}": each for each in hotserve.workers()}
    for name, process in {"manager": psutil.Process(hotserve.process.pid), **workers}.items():
        # What it alone has: pages of the mapped file are everybody's.
        report.memory[name].append((at, process.memory_full_info().uss / 1e6))


def _kill_one(hotserve: Hotserve, rng: random.Random) -> str | None:
    """Kill a child of a random kind; returns the kind."""
    kinds: dict[str, list[psutil.Process]] = defaultdict(list)
    for process in psutil.Process(hotserve.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if kind := _kind(process.cmdline()):
                kinds[kind].append(process)
    if not kinds:
        return None
    kind = rng.choice(sorted(kinds))
    with contextlib.suppress(psutil.Error):
        rng.choice(kinds[kind]).kill()
        return kind
    return None


def _kind(command: list[str]) -> str | None:
    line = " ".join(command)
    if "hotserve" in command or "hotserve.worker.main" in command:
        return None  # a worker, or a child that is not yet itself
    for mark, kind in (
        ("/guard.py", "guard"),
        ("scoring_server", "server"),
        ("processes/fetch.py", "fetching helper"),
        ("/lane/compile.py", "compiling helper"),
        ("hotserve.manager.lane_check", "comparing helper"),
        ("hotserve.manager.batch_check", "comparing helper"),
    ):
        if mark in line:
            return kind
    return None


def _judge(report: Report, served: str) -> None:
    failures = report.load.failures
    if failures:
        report.problems.append(f"{len(failures)} requests failed, the first: {failures[0]}")
    if not report.kills or not report.load.requests:
        report.problems.append("nothing was killed, or nothing asked")
    if served not in report.load.versions():
        report.problems.append(f"version {served} answered nothing")
    for process in report.memory:
        grown, minutes = report.growth(process)
        if grown > allowed_growth(minutes):
            report.problems.append(f"the {process} grew by {grown:.1f} MB in {minutes:.1f} min")


def run(parser: argparse.ArgumentParser, soak: Callable[..., Any]) -> int:
    """A command: what its options say of `soak`, and how long; 0 if it held, otherwise 1."""
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = vars(parser.parse_args())
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        home = Path(folder)
        with running_mlflow_server(home / "mlflow") as mlflow:
            report = soak(mlflow, home, **options)
    print(report.to_text())
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(run(argparse.ArgumentParser(prog="make soak", description=__doc__), soak))
