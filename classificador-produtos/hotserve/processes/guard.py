"""Runs one command and leaves nothing behind: `python -I -S guard.py`, standard library only.

The manager writes one line of JSON to standard input, `{"argv": [...], "log": path or null,
"label": text}`, and keeps the pipe open. When the pipe closes (the manager is gone, killed -9
included), or a line `{"stop": seconds}` comes, the command and everything it started get SIGTERM
and, after the seconds, SIGKILL. Answers are lines of JSON on standard output: `{"started": pid}`
and, last, `{"exited": code, "tail": [last lines of output]}`.

This file is run as a script and imports nothing of hotserve's, so that it stays at some 10 MB.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

GRACE_WITHOUT_MANAGER = 2.0
"""Seconds between SIGTERM and SIGKILL when nobody is left to say how long."""
TAIL_LINES = 60
_LONGEST_LINE = 65536
"""Bytes; a longer one goes to the log in pieces, and its beginning alone is kept."""
LOG_BYTES = 5_000_000
"""A log this long is set aside as `<name>.1`, over the one set aside before."""


def main() -> int:
    """Run until the command and all its descendants are gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Orphans of the command become children of this process instead of init's.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    for pipe_end in (wake_read, wake_write):
        os.set_inheritable(pipe_end, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    # Unbuffered: an order that comes right behind this line is for the loop below.
    with open(0, "rb", buffering=0, closefd=False) as pipe:
        line = pipe.readline()
    if not line:
        return 0
    order = json.loads(line)

    def die_with_guard() -> None:
        os.setpgid(0, 0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    try:
        command = subprocess.Popen(
            order["argv"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_guard,
            bufsize=0,
        )
    except OSError as error:
        _send(exited=127, tail=[f"{order['argv'][0]}: {error.strerror}"])
        return 0
    _send(started=command.pid)
    Guard(command, Output(order["log"], order["label"]), wake_read).run()
    return 0


class Output:
    """The command's output: to a log that does not grow for ever, its last lines kept."""

    def __init__(self, log: str | None, label: str) -> None:
        self._path = Path(log) if log else None
        self._label = label.encode()
        self._file: BinaryIO | None = None
        self._partial = b""
        self._in_long_line = False
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def write(self, data: bytes) -> None:
        """Take whole lines out of `data`; what is left waits for the next call."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        is_long = len(self._partial) > _LONGEST_LINE
        if is_long:
            lines.append(self._partial)
            self._partial = b""
        self.tail.extend(map(_shown, lines[self._in_long_line :]))
        if lines:
            self._in_long_line = is_long
            self._save(lines)

    def close(self) -> None:
        """Keep a last line that has no line feed."""
        if self._partial:
            self.write(b"\n")

    def _save(self, lines: list[bytes]) -> None:
        try:
            if self._path is None:
                os.write(2, b"".join(self._label + line + b"\n" for line in lines))
                return
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            self._file.write(b"\n".join(lines) + b"\n")
            if self._file.tell() > LOG_BYTES:
                self._file.close()
                self._file = None
                self._path.replace(self._path.with_name(self._path.name + ".1"))
        except OSError:
            # A full disk must not stop the model from answering.
            pass


def _shown(line: bytes) -> str:
    """The line as a terminal shows it: of what was written over itself, the last."""
    return line.rstrip(b"\r").rpartition(b"\r")[2][:2000].decode("utf-8", "latin-1")


# Bytes that are not UTF-8 are most often this; none of them is lost.
codecs.register_error("latin-1", lambda e: (e.object[e.start : e.end].decode("latin-1"), e.end))  # type: ignore[attr-defined]


class Guard:
    """Waits for the command's end, for orders, or for the manager to be gone."""

    def __init__(self, command: subprocess.Popen[bytes], output: Output, wake: int) -> None:
        self._command = command
        self._output = output
        self._wake = wake
        self._orders = b""
        self._kill_at: float | None = None
        self._exited: int | None = None

    def run(self) -> None:
        """Return when the command and all that it started are gone, and say how it ended."""
        selector = selectors.DefaultSelector()
        assert self._command.stdout is not None
        pipe = self._command.stdout.fileno()
        selector.register(0, selectors.EVENT_READ)
        selector.register(pipe, selectors.EVENT_READ)
        selector.register(self._wake, selectors.EVENT_READ)
        while not (self._exited is not None and self._family_is_gone()):
            for key, _ in selector.select(self._patience()):
                if key.fd == 0:
                    if not self._read_orders():
                        selector.unregister(0)
                elif key.fd == pipe:
                    if data := os.read(pipe, 65536):
                        self._output.write(data)
                    else:
                        selector.unregister(pipe)
                else:
                    self._read_wakeup()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._signal(signal.SIGKILL)
        os.set_blocking(pipe, False)
        while data := _read_or_nothing(pipe):
            self._output.write(data)
        self._output.close()
        _send(exited=self._exited, tail=list(self._output.tail))

    def _patience(self) -> float | None:
        """Seconds to wait: short once an end was asked for, as descendants give no sign."""
        return None if self._kill_at is None else 0.05

    def _read_orders(self) -> bool:
        data = os.read(0, 65536)
        if not data:
            self._stop(GRACE_WITHOUT_MANAGER)
            return False
        *lines, self._orders = (self._orders + data).split(b"\n")
        for line in lines:
            self._stop(float(json.loads(line)["stop"]))
        return True

    def _read_wakeup(self) -> None:
        for number in os.read(self._wake, 4096):
            if number == signal.SIGTERM:
                self._stop(GRACE_WITHOUT_MANAGER)
        self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._command.pid:
                self._exited = os.waitstatus_to_exitcode(status)
                # Whatever the command left running has nobody to serve.
                self._stop(GRACE_WITHOUT_MANAGER)

    def _stop(self, grace: float) -> None:
        end = time.monotonic() + grace
        if self._kill_at is None:
            self._kill_at = end
            self._signal(signal.SIGTERM)
        else:
            self._kill_at = min(self._kill_at, end)

    def _signal(self, number: signal.Signals) -> None:
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _family_is_gone(self) -> bool:
        self._reap()
        return not descendants(os.getpid())


def descendants(ancestor: int) -> list[int]:
    """Pids of the children of `ancestor`, their children and so on.

    The dead ones that nobody has waited for yet count too: they become this process's to wait for.
    """
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_bytes()
        except OSError:
            continue
        # The name in parentheses may hold anything, so fields are counted from its end.
        parent = int(stat[stat.rindex(b")") + 2 :].split(maxsplit=2)[1])
        children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    open_ends = [ancestor]
    while open_ends:
        for child in children.get(open_ends.pop(), []):
            found.append(child)
            open_ends.append(child)
    return found


def _read_or_nothing(pipe: int) -> bytes:
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return b""


def _send(**message: Any) -> None:
    # Where nobody listens any more, the clean-up goes on all the same.
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message, ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    # The end of standard output's reader is noticed on standard input.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main())
