"""Runs one command and leaves nothing behind: `python -I -S guard.py`, standard library only.

The manager writes one line of JSON to standard input, `{"argv": [...], "log": path or null,
"label": text}`, and keeps the pipe open. When the pipe closes (the manager is gone, killed -9
included), or a line `{"stop": seconds}` comes, the command and everything it started get SIGTERM
and, after the seconds, SIGKILL. Answers are lines of JSON on standard output: `{"started": pid}`
and, last, `{"exited": code, "tail": [last lines of output]}`.

This file is run as a script and imports nothing of hotserve's, so that it stays at some 10 MB.
"""

import codecs
import contextlib
import ctypes
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

GRACE_WITHOUT_MANAGER = 2.0
"""Seconds between SIGTERM and SIGKILL when nobody is left to say how long."""
_LAST_OUTPUT_SECONDS = 2.0
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Unbuffered, as a buffer that a thread waits for could not be let go at the end.
    orders = io.FileIO(0, closefd=False)
    line = orders.readline()
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
    Guard(command, Output(order["log"], order["label"])).run(orders)
    return 0


class Output:
    """The command's output: to a log that does not grow for ever, its last lines kept."""

    def __init__(self, log: str | None, label: str) -> None:
        self._path = Path(log) if log else None
        self._label = label.encode()
        self._file: IO[bytes] | None = None
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

    def __init__(self, command: subprocess.Popen[bytes], output: Output) -> None:
        self._command = command
        self._output = output
        self._is_stopping = False

    def run(self, orders: IO[bytes]) -> None:
        """Return when the command and all that it started are gone, and say how it ended."""
        # The kernel hands a process's signals to its main thread, which waits in `waitpid`.
        signal.signal(signal.SIGTERM, lambda *_: self._stop(GRACE_WITHOUT_MANAGER))
        reading = threading.Thread(target=self._read_output, daemon=True)
        reading.start()
        threading.Thread(target=self._take, args=(orders,), daemon=True).start()
        exited = None
        with contextlib.suppress(ChildProcessError):
            # As orphans come to this process, nobody is left when it has no child.
            while True:
                pid, status = os.waitpid(-1, 0)
                if pid == self._command.pid:
                    exited = os.waitstatus_to_exitcode(status)
                    # Whatever the command left running has nobody to serve.
                    self._stop(GRACE_WITHOUT_MANAGER)
        # Somebody outside of the family may have been given the pipe, and keep it.
        reading.join(_LAST_OUTPUT_SECONDS)
        self._output.close()
        _send(exited=exited, tail=list(self._output.tail))

    def _read_output(self) -> None:
        assert self._command.stdout is not None
        while data := self._command.stdout.read(65536):
            self._output.write(data)

    def _take(self, orders: IO[bytes]) -> None:
        for line in orders:
            self._stop(float(json.loads(line)["stop"]))
        self._stop(GRACE_WITHOUT_MANAGER)

    def _stop(self, grace: float) -> None:
        """SIGTERM once, and SIGKILL after the shortest grace that was ever given."""
        threading.Thread(target=self._kill_after, args=(grace,), daemon=True).start()
        if not self._is_stopping:
            self._is_stopping = True
            _signal_family(signal.SIGTERM)

    def _kill_after(self, grace: float) -> None:
        time.sleep(grace)
        # Again and again: one that is just being started would be missed.
        while True:
            _signal_family(signal.SIGKILL)
            time.sleep(0.05)


def _signal_family(number: signal.Signals) -> None:
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def descendants(ancestor: int, children: dict[int, list[int]] | None = None) -> list[int]:
    """Pids of the children of `ancestor`, their children and so on.

    The dead ones that nobody has waited for yet count too: they become this process's to wait for.

    Args:
        children: who has which now, where that is known.
    """
    children = children_by_parent() if children is None else children
    found: list[int] = []
    open_ends = [ancestor]
    while open_ends:
        for child in children.get(open_ends.pop(), []):
            found.append(child)
            open_ends.append(child)
    return found


def children_by_parent() -> dict[int, list[int]]:
    """The pids of all processes, by that of their parent."""
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
    return children


def _send(**message: Any) -> None:
    # Where nobody listens any more, the clean-up goes on all the same.
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message, ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    # The end of standard output's reader is noticed on standard input.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main())
