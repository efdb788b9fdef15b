"""Output of a start, with a line now and then while it waits: silence looks like a fault."""

import time
from collections.abc import Callable
from typing import TextIO

from local.language import tr

SILENCE = 8.0
"""Seconds without a line, where lines are all that there is."""

CLEAR = "\r\x1b[K"


class ProgressOutput:
    """Says what is waited for, and for how long.

    On a terminal it is one line that counts, and goes away when something else is said; elsewhere a
    line of its own every `SILENCE` seconds.

    Args:
        out: where everything is written.
        clock: seconds that never go back.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._terminal = out.isatty()
        self._since = self._last = clock()
        self._shown = False

    def write(self, text: str) -> None:
        """Say something else, whole lines."""
        if not text:
            return
        self._out.write(f"{CLEAR if self._shown else ''}{text}")
        self._out.flush()
        self._shown = False
        self._since = self._last = self._clock()

    def wait_for(self, what: str) -> None:
        """Called again and again while that is waited for."""
        now = self._clock()
        if now - self._last < (1.0 if self._terminal else SILENCE):
            return
        line = tr("  … {what}, {seconds:.0f} s").format(what=what, seconds=now - self._since)
        self._out.write(f"{CLEAR}{line}" if self._terminal else f"{line}\n")
        self._out.flush()
        self._shown = self._terminal
        self._last = now
