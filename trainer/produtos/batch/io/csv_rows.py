"""Rows of CSV text, each with its line number; broken ones do not end the file."""

import csv
import io
import sys
from collections.abc import Iterator

from produtos.batch.io.blocks import Blocks, BrokenRow
from produtos.batch.rows import NEVER_CLOSED
from produtos.data.csv import is_left_open

DELIMITERS = ";,\t|"

NO_DELIMITER = "\x1f"
"""For a table of one column: whatever is between the quotes or the line's ends is its text."""

END = "\x00end of block"

Row = tuple[int, list[str] | str, str]
"""Line number where it starts; its fields, or why it has none; the lines as they were."""


def quick(text: str, delimiter: str) -> tuple[list[list[str]], int] | None:
    """All rows of whole lines at once, and how many lines they are.

    Returns:
        Nothing when the last row goes on after the text, or a quote in it may have been left open:
        then `careful` has to read it.
    """
    csv.field_size_limit(sys.maxsize)
    lines = (text if text.endswith(("\n", "\r")) else text + "\n") + END
    # Strict reading stops at a quote that something other than a delimiter follows. Where each row
    # is one line, no quote was left open, and such a quote is just a character.
    for strict in (True, False):
        reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter, strict=strict)
        try:
            rows = list(reader)
        except csv.Error:
            continue
        if rows[-1] == [END] and (strict or len(rows) == reader.line_num):
            return [row for row in rows[:-1] if not is_empty(row)], reader.line_num - 1
    return None


def careful(blocks: Blocks, delimiter: str) -> Iterator[Row]:
    """The rows of a block one by one, empty ones left out.

    Of a row whose quote is never closed only the first line is lost; those below are read again.
    """
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(blocks, delimiter=delimiter)
    while True:
        blocks.begin()
        fields: list[str] | str
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (BrokenRow, csv.Error) as error:
            fields = str(error)
        lines = "".join(blocks.taken)
        if blocks.ended or (len(blocks.taken) > 1 and is_left_open(lines, delimiter)):
            fields = NEVER_CLOSED
        if fields == NEVER_CLOSED:
            blocks.hand_back()
        if isinstance(fields, str) or not is_empty(fields):
            yield blocks.start, fields, "".join(blocks.taken)


def whole_lines(blocks: Blocks) -> Iterator[Row]:
    """Each line of a block as one text, commas and all; empty lines are left out.

    A line that is one quoted field is unquoted.
    """
    while True:
        blocks.begin()
        try:
            line = next(blocks)
        except StopIteration:
            return
        except BrokenRow as error:
            yield blocks.start, str(error), blocks.taken[0]
            continue
        text = line.strip()
        if text:
            yield blocks.start, [_unquoted(text)], line


def is_empty(fields: list[str]) -> bool:
    """Whether a row is nothing but a line with nothing on it."""
    return not fields or (len(fields) == 1 and not fields[0].strip())


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
