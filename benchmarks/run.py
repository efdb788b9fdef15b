"""How long `make run` takes to its first right answer, and what it needs at rest.

Four starts, each by the command that a user types: in a fresh clone with no package cache, in a
fresh clone with one, the second start of that clone, and, at the end, the memory of everything.

    make bench-run
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import machine, write

ROOT = Path(__file__).resolve().parent.parent
QUESTION, ANSWER = "boneca de pano", b'{"predictions": ["brinquedo"]}'
GIVE_UP_SECONDS = 900.0
REST_SECONDS = 20.0


def free_port() -> int:
    """A TCP port of the loopback that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Start:
    """One `make run` in a clone, with package caches of its own."""

    def __init__(self, clone: Path, cache: Path) -> None:
        self.home = clone / ".stack"
        self.port = free_port()
        ours = ("MAKE", "MFLAGS", "MLFLOW_", "SERVE_PORT", "STACK_", "DATASET", "HOTSERVE_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            ["make", "run", f"MLFLOW_PORT={free_port()}", f"SERVE_PORT={self.port}"],
            cwd=clone,
            env=environment
            | {"PIP_CACHE_DIR": str(cache / "pip"), "UV_CACHE_DIR": str(cache / "uv")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def seconds_to_answer(self) -> float:
        """Seconds from the command to the first right answer of the API."""
        while time.perf_counter() - self.began < GIVE_UP_SECONDS:
            if self.process.poll() is not None:
                sys.exit(f"make run ended with {self.process.returncode}")
            if self._answers():
                return time.perf_counter() - self.began
            time.sleep(0.05)
        sys.exit(f"no answer within {GIVE_UP_SECONDS:.0f} s")

    def _answers(self) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/invocations",
            QUESTION.encode(),
            {"Content-Type": "text/csv"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bool(answer.read() == ANSWER)
        except (OSError, urllib.error.URLError):
            return False

    def memory(self) -> dict[str, float]:
        """Proportional set size in MB by process: shared pages count once in the sum."""
        found: dict[str, float] = {}
        make = psutil.Process(self.process.pid)
        for process in (make, *make.children(recursive=True)):
            try:
                name = " ".join(Path(word).name for word in process.cmdline()[:4])
                found[f"{process.pid} {name}"] = process.memory_full_info().pss / 1e6
            except psutil.Error:
                continue
        return found

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=120)


def main() -> int:
    """Measure, write `benchmarks/results/run.json` and print it as a table."""
    folder = Path(tempfile.mkdtemp(prefix="bench-run-"))
    figures: dict[str, Any] = {}
    try:
        cache = folder / "cache"
        for label in ("fresh clone, no package cache", "fresh clone, package cache"):
            clone = folder / label.replace(" ", "-").replace(",", "")
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
            start = Start(clone, cache)
            figures[label] = round(start.seconds_to_answer(), 1)
            start.stop()
        start = Start(clone, cache)
        figures["second start"] = round(start.seconds_to_answer(), 1)
        # Start-up leaves threads that wind down; rest is what a user finds an hour later.
        time.sleep(REST_SECONDS)
        memory = start.memory()
        start.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    total = sum(memory.values())
    result = {
        "command": "make bench-run",
        "machine": machine("mlflow", "scikit-learn", "supervisor", "uvicorn"),
        "seconds_to_first_answer": figures,
        "memory_at_rest_mb": {"all": round(total), "processes": memory},
    }
    path = write("run", result)
    for label, seconds in figures.items():
        print(f"{label:32} {seconds:6.1f} s to the first answer")
    print(f"{'memory at rest':32} {total:6.0f} MB in {len(memory)} processes")
    print(f"raw figures: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
