"""A text file in blocks of whole lines, and line by line where a block has to be looked at."""

import io
from collections import deque
from collections.abc import Iterator
from typing import TextIO

from produtos.batch.rows import NEVER_CLOSED, TOO_LONG

BLOCK = 1 << 19
"""Characters."""

LONGEST = 1 << 20
"""Characters of one row. Without a limit, one quote that never closes would hold the whole file
in memory."""

LINE_ENDS = ("\n", "\r")


class BrokenRow(Exception):
    """A row that is not worth reading on. `csv.reader` lets it through and starts afresh."""


class Blocks:
    """The file's text.

    As an iterator it gives the lines of the block, and beyond it only while a row is unfinished.

    Args:
        file: opened with `newline=""`, so that line ends come as they are.

    Attributes:
        start: the number of the line that the row starts with.
        taken: the lines given out for this row.
        ended: whether the file ended while the row wanted more.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._block = io.StringIO()
        self._returned: deque[str] = deque()
        self._length = 0
        self.start = 1
        self.taken: list[str] = []
        self.ended = False

    def load(self) -> bool:
        """Go on to the next block; false at the end of the file."""
        text = self._file.read(BLOCK)
        if text:
            text += self._file.readline(LONGEST)
        self._block = io.StringIO(text, newline="")
        return bool(text)

    def rest(self) -> str:
        """What has not been given out of the block yet."""
        if self._returned:
            return ""
        place = self._block.tell()
        text = self._block.read()
        self._block.seek(place)
        return text

    def skip_rest(self, lines: int) -> None:
        """The rest of the block, so many lines, needs no looking at."""
        self.begin()
        self._block = io.StringIO()
        self.start += lines

    def begin(self) -> None:
        """A row starts with the next line."""
        self.start += len(self.taken)
        self.taken = []
        self._length = 0
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._block.readline(LONGEST)
        if not line and self.taken:
            line = self._file.readline(LONGEST)
            self.ended = not line
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._length += len(line)
        if self._length >= LONGEST:
            # As a later line of its row it is handed back first, and then is a row of its own.
            alone = len(self.taken) == 1
            if alone and len(line) == LONGEST and not line.endswith(LINE_ENDS):
                self._skip_line()
                raise BrokenRow(TOO_LONG)
            raise BrokenRow(NEVER_CLOSED)
        return line

    def _skip_line(self) -> None:
        for readline in (self._block.readline, self._file.readline):
            while rest := readline(LONGEST):
                if rest.endswith(LINE_ENDS):
                    return

    def hand_back(self) -> None:
        """All lines of this row but the first will be given out again."""
        self._returned.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
        self.ended = False
