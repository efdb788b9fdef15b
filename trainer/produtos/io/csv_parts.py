"""What reading a part of a CSV file takes, as on another machine: where lines begin, what is below.

Whether a line is the beginning of a row is known from the rows above it only, since a quoted field
may hold line ends. So a part takes it that its first line is one, and says where its last row
ended. Whoever puts the parts together sees whether that is where the next one began, and has that
one read again if it is not.
"""

import io
from typing import TextIO

IN_PARTS = ("utf-8", "ascii", "iso8859-", "cp125")
"""Encodings in which the byte of a line end is nothing else, and bytes can be counted."""

LOOKED_AHEAD = 1 << 16
"""Bytes."""


class Below:
    """The lines of a part, and then those below it.

    Attributes:
        lines: how many were read of those below.
        size: their bytes.
    """

    def __init__(self, part: TextIO, file: io.TextIOWrapper) -> None:
        self._part = part
        self._file = file
        self.lines = 0
        self.size = 0

    def readline(self, limit: int, /) -> str:
        """See `csv_rows.Readline`."""
        if line := self._part.readline(limit):
            return line
        line = self._file.readline(limit)
        self.lines += line_ends(line)
        self.size += len(line.encode(self._file.encoding, "surrogateescape"))
        return line


def line_ends(text: str) -> int:
    """How many there are."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def line_start(raw: io.RawIOBase, position: int) -> int:
    """Where the first line begins that does so at this byte or below; else the file's end."""
    if position <= 0:
        return 0
    raw.seek(position - 1)
    # A byte is a character here. What is above the position may be the first half of a line end.
    text = io.TextIOWrapper(io.BufferedReader(raw, LOOKED_AHEAD), "latin-1", newline="")
    start = position - 1 + len(text.readline())
    text.detach().detach()
    return start
