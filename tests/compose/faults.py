"""Faults of a running stack, and what its users notice of them."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import pytest

from tests.compose.stack import Stack, docker, wait_until
from tests.compose.users import Users
from tests.support.commands import ROOT, completed

API = "classificador-produtos"
PAGE = ROOT / "docs" / "reliability.md"
RATE = "100kbit"
DELAY = "300ms"
HOUR = 3600
_HEADER = (
    "| part | fault | requests | failed | runs finished | refused | lost | normal again after |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
)
_BEGIN, _END = "<!-- faults -->\n", "<!-- /faults -->\n"


@dataclass
class Case:
    """What users noticed of one fault.

    Attributes:
        seconds: from its end until everybody was served again; of a crash, from its beginning.
    """

    part: str
    fault: str
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    finished: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def row(self) -> str:
        """Of the table in the documentation."""
        cells = (self.requests, len(self.failed), self.finished, self.refused, len(self.lost))
        figures = " | ".join(map(str, cells))
        return f"| {self.part} | {self.fault} | {figures} | {self.seconds:.1f} s |"


def has_compiler() -> bool:
    """Whether what moves clocks can be built."""
    return shutil.which("gcc") is not None


@dataclass
class Clocks:
    """The time of day of services that ask the C library for it (`clock.c`).

    Attributes:
        folder: what the containers see as /clock.
    """

    folder: Path

    def __post_init__(self) -> None:
        self.folder.chmod(0o755)
        if has_compiler():
            source, library = Path(__file__).parent / "clock.c", self.folder / "clock.so"
            command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)]
            subprocess.run(command, check=True)
        for service in ("db", "mlflow", API):
            (self.folder / service).write_bytes(bytes(8))

    def settings(self) -> dict[str, str]:
        """What `faults.yml` wants to know."""
        library = "/clock/clock.so" if has_compiler() else ""
        return {"CLOCK_FOLDER": str(self.folder), "CLOCK_LIBRARY": library}

    @contextmanager
    def moved(self, service: str) -> Iterator[None]:
        """It is an hour later; at the end of the block it is an hour earlier again."""
        self._move(service, HOUR)
        yield
        self._move(service, 0)

    def _move(self, service: str, seconds: int) -> None:
        # The file is mapped there: a new one would not be seen.
        with (self.folder / service).open("r+b") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


@dataclass
class Faults:
    """Makes them, and keeps what came of each."""

    stack: Stack
    users: Users
    clocks: Clocks
    cases: list[Case] = field(default_factory=list)

    @contextmanager
    def case(self, part: str, fault: str, is_crash: bool = False) -> Iterator[Case]:
        """The block is the time in which there is the fault; afterwards the figures are there."""
        users, begun = self.users, time.monotonic()
        answered, failed, refused = users.answered, len(users.failed), users.refused
        case = Case(part, fault)
        yield case
        ended = begun if is_crash else time.monotonic()
        wait_until(
            partial(users.are_served_since, time.monotonic()),
            f"users to be served after {part} {fault}",
            pause=0.05,
        )
        case.seconds = time.monotonic() - ended
        case.failed = users.failed[failed:]
        case.requests = users.answered - answered + len(case.failed)
        runs = [run for run, started in [*users.finished.items()] if started > begun]
        case.finished, case.refused = len(runs), users.refused - refused
        case.lost = users.lost(runs)
        self.cases.append(case)

    def require(self, fault: str) -> None:
        """Skip where this machine can't make it."""
        if fault == "slow network" and slowness() is None:
            pytest.skip("tc, or the right to use it, is missing")
        if fault == "clock moved" and not has_compiler():
            pytest.skip("gcc is missing")

    def while_it_is(self, fault: str, service: str) -> AbstractContextManager[None]:
        """That fault of a service, for as long as the block lasts."""
        kinds = {
            "stopped": self._stopped,
            "frozen": self._frozen,
            "slow network": self._slow,
            "disk full": self._full,
            "clock moved": self.clocks.moved,
        }
        return kinds[fault](service)

    def lasts(self, seconds: float = 3.0) -> None:
        """Wait while users notice: a run is begun and ended, or refused, in that time, too."""
        runs = len(self.users.finished) + self.users.refused
        time.sleep(seconds)
        wait_until(lambda: len(self.users.finished) + self.users.refused > runs, "a run")

    def processes(self, words: str) -> list[int]:
        """Pids of the API's processes with that in their command line."""
        script = 'for p in /proc/[0-9]*; do echo "${p#/proc/} $(tr "\\0" " " <$p/cmdline)"; done'
        lines = self.stack.compose("exec", "-T", API, "bash", "-c", script).splitlines()
        return [
            int(line.split()[0]) for line in lines if words in line and "docker-init" not in line
        ]

    def send(self, signal: str, *pids: int) -> None:
        """A signal to processes of the API."""
        numbers = " ".join(map(str, pids))
        self.stack.compose("exec", "-T", API, "bash", "-c", f"kill -{signal} {numbers}")

    @contextmanager
    def _stopped(self, service: str) -> Iterator[None]:
        """As somebody stops and starts it."""
        self.stack.compose("stop", service)
        yield
        self.stack.compose("start", service)

    def kill(self, service: str) -> None:
        """A crash; the engine starts it again."""
        before = self.stack.state(service)["StartedAt"]
        self.stack.kill_9(service)
        wait_until(lambda: self.stack.state(service)["StartedAt"] != before, "a new start")

    @contextmanager
    def _frozen(self, service: str) -> Iterator[None]:
        """Nothing of it moves."""
        docker("pause", self.stack.container(service))
        yield
        docker("unpause", self.stack.container(service))

    @contextmanager
    def _slow(self, service: str) -> Iterator[None]:
        """What it sends is late: netem where the kernel has it, else a narrow line."""
        pid = str(self.stack.state(service)["Pid"])
        tc = [*_as_root(), "nsenter", "--target", pid, "--net", "tc", "qdisc"]
        shown = completed([*tc, "show"], check=True).stdout
        devices = set(re.findall(r"dev (eth\d+)", shown))
        for device in devices:
            subprocess.run([*tc, "replace", "dev", device, "root", *(slowness() or [])], check=True)
        yield
        for device in devices:
            subprocess.run([*tc, "del", "dev", device, "root"], check=True)

    @contextmanager
    def _full(self, service: str) -> Iterator[None]:
        """Not a byte is left on its disk."""
        file = f"/disks/{service}/filling"
        self.stack.try_compose("exec", "-T", "filler", "dd", "if=/dev/zero", f"of={file}", "bs=64k")
        yield
        self.stack.compose("exec", "-T", "filler", "rm", file)


@cache
def slowness() -> list[str] | None:
    """The queueing discipline of a slow network that can be had here; None without any."""
    kinds = (f"netem delay {DELAY}", f"tbf rate {RATE} burst 1600 latency 10s")
    probe = [*_as_root(), "unshare", "--net", "tc", "qdisc", "replace", "dev", "lo", "root"]
    for kind in map(str.split, kinds):
        with contextlib.suppress(OSError):
            if not subprocess.run([*probe, *kind], capture_output=True, check=False).returncode:
                return kind
    return None


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def rows_of_page() -> dict[tuple[str, str], str]:
    """The table of the documentation: part and fault to the whole row."""
    _, _, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    rows = [row for row in rest.partition(_END)[0].splitlines() if row.startswith("| ")][2:]
    cells = [row.strip("| ").split(" | ") for row in rows]
    return {(part, fault): row for row, (part, fault, *_) in zip(rows, cells, strict=True)}


def write_page(cases: list[Case]) -> None:
    """Put the table and how it was made into the documentation."""
    head, begin, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    table = "\n".join((*_HEADER, *(case.row() for case in cases)))
    how = f"Slow network: `tc qdisc … {' '.join(slowness() or [])}`."
    PAGE.write_text(f"{head}{begin}\n{table}\n\n{how}\n\n{end}{tail}", "utf-8")
