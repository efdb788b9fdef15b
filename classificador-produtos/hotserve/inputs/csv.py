"""text/csv as products: one prediction for each product (docs/hotserve.md, "text/csv")."""

import csv
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hotserve.inputs.bodies import LINE_END, CsvError, decode
from hotserve.inputs.columns import shown, text_of
from hotserve.inputs.csv_header import (
    LINE,
    LINE_ENDS_LOST,
    MARK,
    NEVER_CLOSED,
    Header,
    check_for_lost_line_ends,
    check_for_report_lines,
    find_header,
    line_below,
)

# The size of a body is limited elsewhere; one field may be all of it.
csv.field_size_limit(sys.maxsize)

_BLANK = re.compile(rf"[\s{MARK}]*")
_BLANK_LINES = re.compile(rf"[\s{MARK}]*[\r\n{MARK}]")
_SEPARATOR_LINE = re.compile(r'\s*"?sep=.?"?[;,\t| ]*(?:\r\n|\n|\r|\Z)', re.IGNORECASE)
_LINE_ENDS = re.compile(r"[\r\n]+")
_LEFT = "\x1a\0"
"""At a file's end: Ctrl-Z was the end of a text in DOS, zeros are of blocks never written."""
_END, _END_READ = '"."', ["."]
"""A line behind the last one. The csv module does not tell that a quote was still open at the end;
this line comes out as a row of its own only if none was."""
_PIECE = 1 << 16
_MOST_FIELDS = 1 << 20
"""In a line. Each field is an object, so a line of nothing but commas would take many times its
size."""

_EMPTY = "the body is empty; send one product a line"
_NO_ROWS = "the table has a header and no rows with a text; send one product a line below it"


@dataclass(frozen=True, slots=True)
class Products:
    """Products as sent.

    Attributes:
        columns: those of the header that make the text, as the model or `columns` writes them;
            empty where there was no header.
        rows: a row for each product, as long as `columns`; without columns, the text alone.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def texts(self) -> list[str]:
        """The text of each product."""
        if len(self.columns) < 2:
            return [text for (text,) in self.rows]
        return list(map(text_of, self.rows))


def read(
    body: bytes, model_columns: Sequence[str] = (), size: int = sys.maxsize
) -> Iterator[Products]:
    """Read a body as products, some `size` of them at a time.

    The first line that is not blank is a header if one of its fields is the name of a column that
    is known (see `columns`). Otherwise every line that is not blank is one product, commas and
    all; a line that is one quoted field is unquoted.

    It takes little more memory than the text, and each step is short, so that a large body need
    not hold up others; a part may be empty.

    Args:
        model_columns: of the model's signature.

    Raises:
        CsvError: not UTF-8, no product in it, or a row that does not fit the header; once it comes
            to the row.
    """
    text = _without_leftovers(decode(body))
    start = _first_line(text, 0)
    if separator_line := _SEPARATOR_LINE.match(text, start):
        start = _first_line(text, separator_line.end())
    if _BLANK.fullmatch(text, start):
        raise CsvError(_EMPTY)
    end = LINE_END.search(text, start)
    stop = end.end() if end else len(text)
    header = find_header(text, start, stop, model_columns)
    if header is None:
        if _BLANK.fullmatch(text, stop):
            check_for_lost_line_ends(text, start, model_columns)
        check_for_report_lines(text, stop, model_columns)
        for piece in _pieces(text, start):
            lines = [line for line in _LINE_ENDS.split(piece) if line.strip()]
            for first in range(0, len(lines) or 1, size):
                yield Products((), [(_unquote(line),) for line in lines[first : first + size]])
        return
    if end is None:
        raise CsvError(LINE_ENDS_LOST.format(shown(header.names)))
    columns = tuple(header.indexes)
    empty = True
    for part in _parts(text, header, size):
        full = [row for row in part if "".join(row).strip()]
        empty = empty and not full
        yield Products(columns, full)
    if empty:
        raise CsvError(_NO_ROWS)


def _without_leftovers(text: str) -> str:
    """A text without lines at its end that hold nothing but `_LEFT`."""
    if not any(each in text[-4:] for each in _LEFT):
        return text
    end = LINE_END.search(text, len(text.rstrip(f"{_LEFT} \t\r\n")))
    return text[: end.end()] if end else text


def _first_line(text: str, start: int) -> int:
    """Where the first line begins that is not blank, byte order marks left out."""
    blank = _BLANK_LINES.match(text, start)
    return blank.end() if blank else start


def _pieces(text: str, start: int) -> Iterator[str]:
    while start < len(text):
        end = LINE_END.search(text, start + _PIECE)
        stop = end.end() if end else len(text)
        yield text[start:stop]
        start = stop


def _parts(text: str, header: Header, size: int) -> Iterator[list[list[str]]]:
    """The rows of a table below its header, some `size` at a time.

    Raises:
        CsvError: a line has more fields than any table, or a row is not read.
    """
    at_end = False
    begins = header.last_line + 1

    def lines() -> Iterator[list[str]]:
        nonlocal at_end
        number = header.last_line + 1
        for piece in _pieces(text, header.stop):
            found = LINE.findall(piece)
            for at, line in enumerate(found if len(piece) > _MOST_FIELDS else (), number):
                if line.count(header.separator) > _MOST_FIELDS:
                    raise CsvError(f"line {at} has more than {_MOST_FIELDS} fields")
            yield found
            number += len(found)
        at_end = True
        yield [_END]

    # Whatever is done for each row here is most of what a large table costs.
    reader = csv.reader(itertools.chain.from_iterable(lines()), delimiter=header.separator)
    try:
        while read := list(itertools.islice(reader, size)):
            last = read.pop() if at_end else _END_READ
            ends = line_below(read, begins) if last != _END_READ else 0
            yield header.rows(read, begins)
            if last != _END_READ:
                raise CsvError(NEVER_CLOSED.format(ends))
            begins = header.last_line + reader.line_num + 1
    except csv.Error as error:
        raise CsvError(f"line {header.last_line + reader.line_num}: {error}") from None


def _unquote(line: str) -> str:
    bare = line.strip()
    if len(bare) < 2 or bare[0] != '"' or bare[-1] != '"':
        return line
    inside = bare[1:-1]
    # A lone quote inside ends the field early, so the line is no single field.
    if '"' in inside.replace('""', ""):
        return line
    return inside.replace('""', '"')
