"""Rows of a CSV text, each with its line number, and what spreadsheets put into such files."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from produtos.data.columns import find_header, first_row
from produtos.errors import BadInput
from produtos.product_model.columns import CATEGORY, fold

MARK = "\ufeff"
"""A byte order mark; files that were joined have it anywhere."""

_SEPARATOR_LINE = re.compile(r'[\ufeff\s]*"?sep=[;,\t|]"?[;,|\s]*', re.IGNORECASE)

_END = "\x1a\0 \t\r\n"
"""Ctrl-Z was the end of a text in DOS; zeros are in a file whose blocks were never written."""

_SEARCHED = 100
"""How many lines a header is looked for in: a report's title may stand above it."""

_LONGEST_HEADER = 20
"""Lines of a header, whose names may have line ends in them, as in the cells of a spreadsheet."""


@dataclass(frozen=True)
class Table:
    """A text whose header was found.

    Attributes:
        names: the fields of the header.
        line: where it is.
        rows: each with its line number; with fewer or more fields than there are names.
    """

    names: list[str]
    line: int
    rows: Iterator[tuple[int, list[str]]]


def read_table(text: str) -> Table:
    """Find the header of a text.

    Raises:
        BadInput: it has none; also while the rows are read, when a quote is never closed.
    """
    lines = list(io.StringIO(text, newline=""))
    top = first_lines(lines)
    if not top:
        raise BadInput("empty; it needs a header line nome;descricao;categoria")
    number, first = top[0]
    header = header_of(top)
    if header is None:
        for below, line in top[1:]:
            _, names, _ = header_of([(below, line)]) or ("", [], 0)
            if CATEGORY in map(fold, names):
                raise BadInput(
                    "the header is at line {below}; delete the lines above it", below=below
                )
        raise BadInput(
            "no header: line {number} is {strip}; the first line must be nome;descricao;categoria",
            number=number,
            strip=first.strip()[:60],
        )
    lines[number - 1] = first
    rows = _rows(lines, number - 1, separator=header[0])
    _, names = next(rows)
    return Table([*map(in_one_line, names)], number, rows)


def first_lines(lines: Iterable[str]) -> list[tuple[int, str]]:
    """The first lines with something on them, without marks and `sep=;`, and their numbers."""
    bare = ((number, line.lstrip(MARK)) for number, line in enumerate(lines, start=1))
    filled = list(islice((each for each in bare if each[1].strip()), _SEARCHED))
    return filled[1:] if filled and _SEPARATOR_LINE.fullmatch(filled[0][1]) else filled


def header_of(
    lines: Sequence[tuple[int, str]], also: Collection[str] = ()
) -> tuple[str, list[str], int] | None:
    """The separator, the names and the last line of a header, if the first of some lines begins it.

    It may be in quotes from end to end.

    Args:
        lines: at least one, each with its number.
        also: as in `find_header`.
    """
    text, first_line_alone = "", None
    for number, line in lines[:_LONGEST_HEADER]:
        text += line
        found = find_header(text, also) or find_header("".join(first_row(text, "\0")), also)
        if found and not is_left_open(text, found[0]):
            return (*found, number)
        if found and line is text:
            first_line_alone = (*found, number)
    return first_line_alone


def in_one_line(name: str) -> str:
    """The name of a column, whose line ends become blanks."""
    return " ".join(filter(None, name.splitlines()))


def _rows(lines: list[str], first: int, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The header, as long as it is, and the rows below it."""
    reader = csv.reader(lines[first:], delimiter=separator)
    start, width = first + 1, 0
    for fields in reader:
        end = first + reader.line_num
        # Without this, a forgotten quote would take the rows below into its field without a word.
        # One that opens on the last line has none below, but is a mistake as well.
        if (end > start or end == len(lines)) and is_left_open(
            "".join(lines[start - 1 : end]), separator
        ):
            raise BadInput(
                'a quote (") opened in the row at line {start} is never closed; close it, or '
                "double the quotes inside the field",
                start=start,
            )
        if not is_empty(fields):
            row = unquoted(fields, separator, width or 2)
            width = width or len(row)
            yield start, list(without_empty_tail(row, width))
        start = end + 1


def is_empty(fields: Sequence[str]) -> bool:
    """Whether a row is an empty line, or what DOS or a power cut leaves at a file's end."""
    return not any(map(str.strip, fields)) or (len(fields) == 1 and not fields[0].strip(_END))


def unquoted(fields: list[str], separator: str, width: int) -> list[str]:
    """The fields of a row that a spreadsheet wrote as one, in quotes from end to end."""
    if len(fields) == 1 < width and separator in fields[0]:
        inner = next(csv.reader(io.StringIO(fields[0], newline=""), delimiter=separator), [])
        return inner if len(inner) >= width else fields
    return fields


def without_empty_tail(fields: Sequence[str], width: int) -> Sequence[str]:
    """A row without the empty fields of columns that the header does not have.

    A cell that was used once makes a spreadsheet write its column for ever, in every row.
    """
    return fields if any(map(str.strip, fields[width:])) else fields[:width]


def is_left_open(row: str, separator: str) -> bool:
    r"""Whether a quote that opens a field of this row is never closed.

    `csv.reader` reads on to the next quote, be it a hundred lines below, and takes all between for
    one field. A quote is left open when the row ends first, and also when the field goes over a
    line's end and the next quote cannot be what closes it: neither the separator nor a line's end
    comes after it. Then it belongs to a row below, as in `"doll;1\nball;2\n"car; red";3`.

    Args:
        row: its lines as they are in the file.
        separator: between fields.
    """
    field = _field(separator)
    position = 0
    while found := field.match(row, position):
        quoted, closing, rest, end = found.groups()
        if quoted is not None and (not closing or (rest and ("\n" in quoted or "\r" in quoted))):
            return True
        if end != separator:
            return False
        position = found.end()
    return False


@cache
def _field(separator: str) -> re.Pattern[str]:
    """A field as `csv.reader` cuts it: the quoted part, its quote, the rest, what ends it."""
    cut = re.escape(separator)
    return re.compile(rf'(?:"([^"]*(?:""[^"]*)*)("?))?([^{cut}\r\n]*)({cut}|[\r\n]|$)')
