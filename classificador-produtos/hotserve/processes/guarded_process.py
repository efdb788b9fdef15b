"""A command under its guard (guard.py), as the manager sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_GUARD = Path(__file__).with_name("guard.py")
_ANSWER_LIMIT = 1 << 20
_LAUNCHER = re.compile(r"returned non zero return code\. Return code = (-?\d+)")
_ALL_IS_WELL = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?INFO\b")
_TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended: exit code (negative: the signal; None: its guard died), last lines."""

    code: int | None
    tail: tuple[str, ...]

    def reason(self) -> str:
        """One line that says most: the last one that looks like an error, or the signal.

        Where that one ends in a colon, what follows it belongs to it.
        """
        lines = [line.strip() for line in self.tail if line.strip()]
        errors = [place for place, line in enumerate(lines) if _is_error(line)]
        if errors:
            first, *rest = lines[errors[-1] :]
            # MLflow's list of files that can't be fetched stands below its line.
            return " ".join([first, *rest])[:500] if first.endswith(":") else first[:500]
        if name := _signal_name(self.code, lines):
            return f"ended by {name}"
        if _TRACEBACK in lines:
            lines = lines[: lines.index(_TRACEBACK)]
        # A server's word that all is well is no reason for its end.
        lines = [line for line in lines if not _ALL_IS_WELL.match(line)]
        if lines:
            return lines[-1][:500]
        return "its guard was killed" if self.code is None else f"ended with code {self.code}"


def _signal_name(code: int | None, lines: list[str]) -> str | None:
    # The launcher tells the end of the server process in its own last line.
    told = _LAUNCHER.search(lines[-1]) if lines else None
    number = int(told[1]) if told else (code or 0)
    try:
        return signal.Signals(-number).name if number < 0 else None
    except ValueError:
        return None


async def _kill_group(group: int) -> None:
    """End what a guard left behind; it became this process's own (manager.py makes sure)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while True:
            os.killpg(group, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-group, os.WNOHANG)
            await asyncio.sleep(0.02)


def _is_error(line: str) -> bool:
    kind = line.split(":", 1)[0]
    # The launcher's own last word hides what the server process said before it.
    return (
        ":" in line
        and kind.replace(".", "").replace("_", "").isalnum()
        and kind.rsplit(".", 1)[-1].endswith(("Error", "Exception", "Exit"))
        and not _LAUNCHER.search(line)
    )


class GuardedProcess:
    """A running command that ends, with all its descendants, when this process does.

    Attributes:
        pid: of the command (also its process group), 0 if it could not be started.
        exited: resolves to an `Exit` once nothing of the command is left.
    """

    def __init__(self, guard: asyncio.subprocess.Process) -> None:
        self.pid = 0
        self.exited: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._guard = guard
        self._started = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path | None,
        label: str,
    ) -> Self:
        """Run `argv`; its output goes to the file `log`, or with `label` in front to stderr."""
        guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_GUARD)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
            limit=_ANSWER_LIMIT,
        )
        process = cls(guard)
        order = {"argv": list(argv), "log": str(log) if log else None, "label": label}
        process._order(order)
        try:
            await process._started.wait()
        except BaseException:
            # Given up before anybody could hold it: nobody else would stop it.
            await process.stop(grace=0.5)
            raise
        return process

    async def stop(self, grace: float) -> Exit:
        """SIGTERM, `grace` seconds, SIGKILL; returns when nothing is left."""
        self._order({"stop": grace})
        return await asyncio.shield(self.exited)

    def _order(self, order: Mapping[str, object]) -> None:
        if self._guard.stdin is not None and not self._guard.stdin.is_closing():
            with contextlib.suppress(ConnectionError):
                self._guard.stdin.write(json.dumps(order).encode() + b"\n")

    async def _read(self) -> None:
        assert self._guard.stdout is not None
        end = Exit(None, ())
        async for line in self._guard.stdout:
            message = json.loads(line)
            if "started" in message:
                self.pid = message["started"]
                self._started.set()
            else:
                end = Exit(message["exited"], tuple(message["tail"]))
        await self._guard.wait()
        if end.code is None and self.pid:
            # The guard itself was killed. The command is told by the kernel; this is for the rest.
            await _kill_group(self.pid)
        self._started.set()
        if not self.exited.done():
            self.exited.set_result(end)


async def run_to_end(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path | None,
    label: str,
    timeout: float | None = None,
) -> Exit:
    """Run a command that ends by itself; nothing is left of it, however this call ends.

    Raises:
        TimeoutError: it was ended after `timeout` seconds.
    """
    process = await GuardedProcess.start(argv, environment=environment, log=log, label=label)
    try:
        return await asyncio.wait_for(asyncio.shield(process.exited), timeout)
    except BaseException:
        await process.stop(grace=0.5)
        raise
