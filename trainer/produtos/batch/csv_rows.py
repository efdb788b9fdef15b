"""Rows of a CSV file, one at a time, each with its line number; broken ones do not end the file."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import TextIO

from produtos.batch.rows import NEVER_CLOSED, TOO_LONG

LONGEST = 1 << 20
"""Characters of one row. Without a limit, one quote that never closes would hold the whole file
in memory."""

DELIMITERS = ";,\t|"

NO_DELIMITER = "\x1f"
"""For a table of one column: whatever is between the quotes or the line's ends is its text."""

Row = tuple[int, list[str] | str, str]
"""Line number where it starts; its fields, or why it has none; the lines as they were."""


class _BrokenRow(Exception):
    """Raised through `csv.reader`, which starts afresh with the next line."""


class _Lines:
    """The lines of a file for `csv.reader`, which can be handed back.

    Attributes:
        start: the number of the line that the row starts with.
        taken: the lines given out since `begin`.
        ended: whether more lines were asked for than there are.
    """

    def __init__(self, file: TextIO) -> None:
        self._readline = file.readline
        self._returned: deque[str] = deque()
        self._length = 0
        self.start = 1
        self.taken: list[str] = []
        self.ended = False

    def begin(self) -> None:
        """A row starts with the next line."""
        self.start += len(self.taken)
        self.taken = []
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._readline(LONGEST)
        if not line:
            self.ended = True
            raise StopIteration
        self.taken.append(line)
        self._length += len(line)
        if self._length >= LONGEST:
            if len(line) == LONGEST and not line.endswith(("\n", "\r")):
                self._skip_line()
                raise _BrokenRow(TOO_LONG)
            raise _BrokenRow(NEVER_CLOSED)
        return line

    def _skip_line(self) -> None:
        while (rest := self._readline(LONGEST)) and not rest.endswith(("\n", "\r")):
            pass

    def hand_back(self) -> None:
        """All lines of this row but the first will be given out again."""
        self._returned.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
        self.ended = False


def separated(file: TextIO, delimiter: str) -> Iterator[Row]:
    """The rows of a table, the header being the first; empty lines are left out.

    Of a row whose quote is never closed only the first line is lost; those below are read again.
    """
    csv.field_size_limit(2 * LONGEST)
    lines = _Lines(file)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        lines.begin()
        fields: list[str] | str
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (_BrokenRow, csv.Error) as error:
            fields = str(error)
        if lines.ended:
            fields = NEVER_CLOSED
        first = lines.taken[0]
        if fields == NEVER_CLOSED:
            lines.hand_back()
        if isinstance(fields, str) or any(fields) or len(fields) > 1:
            yield lines.start, fields, first


def whole_lines(file: TextIO) -> Iterator[Row]:
    """Each line as one text, commas and all; empty lines are left out.

    A line that is one quoted field is unquoted.
    """
    lines = _Lines(file)
    while True:
        lines.begin()
        try:
            line = next(lines)
        except StopIteration:
            return
        except _BrokenRow as error:
            yield lines.start, str(error), lines.taken[0]
            continue
        text = line.strip()
        if text:
            yield lines.start, [_unquoted(text)], line


def header_of(line: str) -> Iterator[tuple[str, list[str]]]:
    """The first line cut at each delimiter it may have, most columns first."""
    cut = []
    for delimiter in DELIMITERS:
        fields = next(csv.reader([line], delimiter=delimiter), [])
        cut.append((delimiter if len(fields) > 1 else NO_DELIMITER, fields))
    yield from sorted(cut, key=lambda each: -len(each[1]))


def _unquoted(text: str) -> str:
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    inner = text[1:-1]
    if '"' in inner.replace('""', ""):
        return text
    return inner.replace('""', '"')
