"""Rows of CSV text, each with its line number; broken ones do not end the file.

Not pyarrow's: it takes all below a quote that was left open into one row, rejects rows with fields
missing, counts rows instead of lines, and ends at a byte that it cannot decode.
"""

import csv
import io
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from produtos.data.csv import MARK, is_empty, is_left_open
from produtos.io.rows import NEVER_CLOSED, TOO_LONG

LONGEST = 1 << 20
"""Characters of one row. Without a limit, one quote that never closes would hold the whole file
in memory."""

END = "\x00end of block"

Row = tuple[int, list[str] | str, str]
"""Line number where it starts; its fields, or why it has none; the lines as they were."""


class Readline(Protocol):
    """The lines of an open file."""

    def readline(self, limit: int, /) -> str:
        """The next one, or so many characters of it; nothing at the end."""


class BrokenRow(Exception):
    """A row that is not worth reading on. `csv.reader` lets it through and starts afresh."""


class Lines:
    """As an iterator, the lines of a block, and those below it only while a row is unfinished.

    Args:
        block: whole lines.
        file: what follows, opened with `newline=""`, so that line ends come as they are.
        number: of the block's first line.

    Attributes:
        number: of the line that the row starts with.
        taken: the lines given out for this row.
        ended: whether the file ended while the row wanted more.
    """

    def __init__(self, block: str, file: Readline, number: int) -> None:
        self._left = deque(io.StringIO(block, newline=""))
        self._file = file
        self.number = number
        self.begin_row([])

    def begin_row(self, finished: list[str]) -> None:
        """A row starts with the line below `finished`."""
        self.number += len(finished)
        self.taken: list[str] = []
        self.ended = False
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._left:
            line = self._left.popleft()
        else:
            line = self._file.readline(LONGEST) if self.taken else ""
            self.ended = bool(self.taken) and not line
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._length += len(line)
        if self._length >= LONGEST:
            # As a later line of its row it is handed back first, and then is a row of its own.
            if len(self.taken) > 1:
                raise BrokenRow(NEVER_CLOSED)
            while line and not line.endswith(("\n", "\r")):
                line = self._file.readline(LONGEST)
            raise BrokenRow(TOO_LONG)
        return line

    def hand_back(self) -> None:
        """All lines of this row but the first will be given out again."""
        self._left.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


def quick(text: str, separator: str) -> tuple[list[list[str]], int] | None:
    """All rows of whole lines at once, and how many lines they are.

    Returns:
        Nothing when the last row goes on after the text, or a quote in it may have been left open:
        then `careful` has to read it.
    """
    lines = (text if text.endswith(("\n", "\r")) else text + "\n") + END
    # Strict reading stops at a quote that something other than a separator follows. Where each row
    # is one line, no quote was left open, and such a quote is just a character.
    for strict in (True, False):
        reader = csv.reader(io.StringIO(lines, newline=""), delimiter=separator, strict=strict)
        try:
            rows = list(reader)
        except csv.Error:
            continue
        if rows[-1] == [END] and (strict or len(rows) == reader.line_num):
            return [row for row in rows[:-1] if not is_empty(row)], reader.line_num - 1
    return None


def careful(lines: Lines, separator: str) -> Iterator[Row]:
    """The rows one by one, empty ones left out.

    Of a row whose quote is never closed only the first line is lost; those below are read again.

    Args:
        lines: of a block.
        separator: between fields; nothing if each line is one text, commas and all, unquoted where
            it is one quoted field.
    """
    reader = csv.reader(lines, delimiter=separator) if separator else map(_one_text, lines)
    while True:
        fields: list[str] | str
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (BrokenRow, csv.Error) as error:
            fields = str(error)
        if lines.ended or (len(lines.taken) > 1 and is_left_open("".join(lines.taken), separator)):
            fields = NEVER_CLOSED
        if fields == NEVER_CLOSED:
            lines.hand_back()
        if isinstance(fields, str) or not is_empty(fields):
            yield lines.number, fields, "".join(lines.taken)
        lines.begin_row(lines.taken)


def _one_text(line: str) -> list[str]:
    return [unquoted(line.lstrip(MARK).strip())]


def unquoted(text: str) -> str:
    """What is between the quotes, if the text is one quoted field; else the text."""
    inner = text[1:-1].replace('""', "")
    if len(text) < 2 or not (text[0] == text[-1] == '"') or '"' in inner:
        return text
    return text[1:-1].replace('""', '"')
