"""A command under its guard (guard.py), as the manager sees it."""

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
from typing import Any, Self

from hotserve.redaction import without_secrets

_GUARD = Path(__file__).with_name("guard.py")
_ANSWER_LIMIT = 1 << 20
_LAUNCHER = re.compile(r"returned non zero return code\. Return code = (-?\d+)")
_INFO = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?INFO\b")
_PROGRESS = re.compile(r"\d%\|| [\d.]+(it/s|s/it)\b|[█━]")
# By what its class is called, or by the module that stands before that (zipfile.BadZipFile).
_ERROR = re.compile(r"([\w.]*(Error|Exception|Exit|Interrupt)(: .*)?|(\w+\.)+[A-Z]\w*: .*)$")
_TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True, slots=True)
class ProcessContext:
    """What a command is run with.

    Attributes:
        environment: its variables.
        log: file for its output; None sends it to stderr with `label` in front of each line.
    """

    environment: Mapping[str, str]
    log: Path | None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended: exit code (negative: the signal; None: its guard died), last lines."""

    code: int | None
    tail: tuple[str, ...]

    @property
    def was_killed(self) -> bool:
        """Whether somebody ended it, which says nothing of what it was to do."""
        return self.code is None or self.code < 0

    def answer(self) -> dict[str, Any] | None:
        """The last line that is a JSON object; None where none is."""
        for line in reversed(self.tail):
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    return found
        return None

    def reason(self) -> str:
        """One line: its exit code or signal, then the error that it wrote last."""
        end, error = self._end(), self.error()
        return f"{end}: {error}" if error else end

    def error(self) -> str:
        """The last line that looks like an error, else the last one with any text.

        Where that one ends in a colon, what follows it belongs to it.
        """
        lines = [without_secrets(line.strip()) for line in self.tail if _is_informative(line)]
        # The launcher's own error hides what the server process wrote before it.
        errors = [n for n, each in enumerate(lines) if _ERROR.match(each)]
        errors = [n for n in errors if not _LAUNCHER.search(lines[n])]
        if errors:
            first, *rest = lines[errors[-1] :]
            # MLflow's list of files that can't be fetched stands below its line.
            return " ".join([first, *rest])[:500] if first.endswith(":") else first[:500]
        if _TRACEBACK in lines:
            lines = lines[: lines.index(_TRACEBACK)]
        # A process that was killed may have written anything last.
        return lines[-1][:500] if lines and self._code() > 0 else ""

    def _end(self) -> str:
        if self.code is None:
            return "its guard was killed"
        code = self._code()
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with code {code}"

    def _code(self) -> int:
        """Of the server process: its launcher writes it at its own end."""
        codes = _LAUNCHER.findall("\n".join(self.tail))
        return int(codes[-1]) if codes else (self.code or 0)


def _is_informative(line: str) -> bool:
    """Whether it is neither empty, a rule, a progress bar, nor a line of level INFO."""
    is_text = any(character.isalpha() for character in line)
    return is_text and not _PROGRESS.search(line) and not _INFO.match(line.strip())


class GuardedProcess:
    """A running command that ends, with all its descendants, when this process does.

    Attributes:
        pid: of the command (also its process group), 0 if it could not be started.
        exited: resolves to an `Exit` once nothing of the command is left.
    """

    def __init__(self, guard: asyncio.subprocess.Process | None) -> None:
        self.pid = 0
        self.exited: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._guard = guard
        self._started = asyncio.Event()
        self._reader = asyncio.create_task(self._read(guard)) if guard else None

    @classmethod
    async def start(cls, argv: Sequence[str], context: ProcessContext) -> Self:
        """Run `argv`; one that can't be started has ended already, and says why."""
        try:
            guard = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_GUARD)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=dict(context.environment),
                start_new_session=True,
                limit=_ANSWER_LIMIT,
            )
        except OSError as error:
            # There are too many processes or open files, or there is too little memory.
            process = cls(None)
            process.exited.set_result(Exit(127, (f"{argv[0]}: {error.strerror}",)))
            return process
        process = cls(guard)
        log = str(context.log) if context.log else None
        process._order({"argv": list(argv), "log": log, "label": context.label})
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
        orders = self._guard.stdin if self._guard else None
        if orders is not None and not orders.is_closing():
            with contextlib.suppress(ConnectionError):
                orders.write(json.dumps(order).encode() + b"\n")

    async def _read(self, guard: asyncio.subprocess.Process) -> None:
        assert guard.stdout is not None
        end = Exit(None, ())
        try:
            async for line in guard.stdout:
                message = json.loads(line)
                if "started" in message:
                    self.pid = message["started"]
                    self._started.set()
                else:
                    end = Exit(message["exited"], tuple(message["tail"]))
            await guard.wait()
            if end.code is None and self.pid:
                # The guard itself was killed. The kernel ends the command then; this is for the
                # rest.
                await _kill_group(self.pid)
        finally:
            # Also where this task is cancelled, as all are when the loop ends: who waits for the
            # command's end would wait for ever. Its guard ends it once this process is gone.
            self._started.set()
            if not self.exited.done():
                self.exited.set_result(end)


async def _kill_group(group: int) -> None:
    """End what a guard left behind; it became this process's own (manager/main.py makes sure)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while True:
            os.killpg(group, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-group, os.WNOHANG)
            await asyncio.sleep(0.02)


async def run_to_end(
    argv: Sequence[str], context: ProcessContext, *, timeout: float | None = None, tries: int = 1
) -> Exit:
    """Run a command that ends by itself; nothing is left of it, however this call ends.

    Args:
        tries: how often it is run at most, if somebody kills it before it gave an answer.

    Raises:
        TimeoutError: it was ended after `timeout` seconds.
    """
    process = await GuardedProcess.start(argv, context)
    try:
        end = await asyncio.wait_for(asyncio.shield(process.exited), timeout)
    except BaseException:
        await process.stop(grace=0.5)
        raise
    if tries > 1 and end.was_killed and end.answer() is None:
        return await run_to_end(argv, context, timeout=timeout, tries=tries - 1)
    return end
