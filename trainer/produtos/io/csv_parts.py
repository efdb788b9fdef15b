"""Parts of a CSV file, each read by itself, as on another machine.

Whether a line is the beginning of a row is known from the rows above it only, since a quoted field
may hold line ends. So a part takes it that its first line is one, and says where its last row
ended. Whoever puts the parts together sees whether that is where the next one began, and has that
one read again if it is not.
"""

import codecs
import io
import re
from typing import TextIO

from produtos.io.csv import CsvTable
from produtos.io.csv_rows import LONGEST
from produtos.io.rows import Part
from produtos.io.storage import readable

LINE_END = re.compile(rb"\r\n|\r(?!\Z)|\n")
"""But no carriage return as the last byte: a line feed may follow."""

IN_PARTS = ("utf-8", "ascii", "iso8859-", "cp125")
"""Encodings in which the byte of a line end is nothing else, and bytes can be counted."""

LOOKED_AHEAD = 1 << 16
"""Bytes."""


def can_be_parted(table: CsvTable) -> bool:
    """Whether a line of the file can be found without reading those above it."""
    name = codecs.lookup(table.encoding).name
    return name.startswith(IN_PARTS) and not table.location.path.lower().endswith(".gz")


def read(table: CsvTable, start: int, end: int) -> Part:
    """Read the rows that begin in some bytes of a file.

    Args:
        table: one that `can_be_parted`.
        start: of the bytes; in the middle of a line, the next line is the first.
        end: the byte after the last.

    Raises:
        BadInput: the file cannot be read.
    """
    with readable(table.location.address), table.location.open() as raw:
        first, last = _line_start(raw, start), _line_start(raw, end)
        raw.seek(first)
        name = codecs.lookup(table.encoding).name
        # A mark is one at the beginning of the file only.
        inside = name.removesuffix("-sig")
        text = _bytes(raw, last - first).decode(inside if first else name, "surrogateescape")
        part = io.StringIO(text, newline="")
        file = io.TextIOWrapper(io.BufferedReader(raw), inside, "surrogateescape", newline="")
        below = _Below(part, file)
        number = 1
        for _ in range(table.lines_above if first == 0 else 0):
            below.readline(LONGEST)
            number += 1
        chunks = list(table.chunks_of(part, below, number, lambda: last))
        return Part(first, last + below.size, _line_ends(text) + below.lines, chunks)


class _Below:
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
        self.lines += _line_ends(line)
        self.size += len(line.encode(self._file.encoding, "surrogateescape"))
        return line


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _line_start(raw: io.RawIOBase, position: int) -> int:
    """Where the first line begins that does so at this byte or below; else the file's end."""
    if position <= 0:
        return 0
    raw.seek(position - 1)
    before = position - 1
    ahead = b""
    while read := raw.read(LOOKED_AHEAD):
        ahead += read
        if found := LINE_END.search(ahead):
            return before + found.end()
        before, ahead = before + len(ahead) - 1, ahead[-1:]
    return before + len(ahead)


def _bytes(raw: io.RawIOBase, size: int) -> bytes:
    content = bytearray()
    while len(content) < size and (read := raw.read(size - len(content))):
        content += read
    return bytes(content)
