"""text/csv as products: one prediction for each product (docs/hotserve.md, "text/csv")."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hotserve.inputs.model_input import KNOWN_COLUMNS

# The size of a body is limited elsewhere; one field may be all of it.
csv.field_size_limit(sys.maxsize)

_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_NO_NUMBER = re.compile(r"[^,\r\n]{1000}")
_LINE_ENDS = re.compile(r"[\r\n]+")
_NO_DELIMITER = "\x1f"
_END, _END_READ = '"."', ["."]
"""A line behind the last one. The csv module does not tell that a quote was still open at the end;
this line comes out as a row of its own only if none was."""
_PIECE = 1 << 16
_MOST_FIELDS = 1 << 20
"""In a line. Each field is an object, so a line of nothing but commas would take many times its
size."""
_EMPTY = "the body is empty; send one product a line"
_NO_ROWS = "the table has a header and no rows; send one product a line below it"
WHOLE_DOCUMENT = ("texto", "informacao")
"""Columns that hold the whole text of a product."""
_PARTS = ("nome", "descricao")


class CsvError(ValueError):
    """The body can't be read as products; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Products:
    """Products as sent: with the names of their columns, or as bare texts.

    Attributes:
        columns: names of the header row in its order; empty where there was none.
        rows: a row for each product, as long as `columns`; without columns, the text alone.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def texts(self) -> list[str]:
        """The text of each product: `texto`, else `informacao`, else `nome` and `descricao`."""
        if not self.columns:
            return [row[0] for row in self.rows]
        for column in WHOLE_DOCUMENT:
            if column in self.columns:
                place = self.columns.index(column)
                return [row[place] for row in self.rows]
        places = [self.columns.index(part) for part in _PARTS if part in self.columns]
        return [" ".join([row[place] for place in places if row[place]]) for row in self.rows]


def read(body: bytes) -> Products:
    """Read a body as products.

    A first row in which every field is one of `KNOWN_COLUMNS` (any order, `,` or `;`) makes it a
    table. Otherwise every line that is not blank is one product, commas and all; a line that is
    one quoted field is unquoted.

    Raises:
        CsvError: not UTF-8, no product in it, or a row that does not fit the header.
    """
    text = _decode(body)
    header = _header(text)
    if header is None:
        lines = [line for line in _LINE_ENDS.split(text) if line.strip()]
        if not lines:
            raise CsvError(_EMPTY)
        return Products((), [(_unquote(line),) for line in lines])
    columns, delimiter = header
    rows = _table(text, columns, delimiter)
    if not rows:
        raise CsvError(_NO_ROWS)
    return Products(columns, rows)


def read_in_parts(body: bytes, size: int) -> Iterator[Products]:
    """The same products, some `size` of them at a time, and with little more memory than the text.

    Each step is short, so that a large body need not hold up others; a part may be empty.

    Raises:
        CsvError: as `read`, when it comes to the place.
    """
    text = _decode(body)
    header = _header(text)
    empty = True
    if header is None:
        for piece in _pieces(text):
            lines = [line for line in _LINE_ENDS.split(piece) if line.strip()]
            empty = empty and not lines
            for start in range(0, len(lines) or 1, size):
                yield Products((), [(_unquote(line),) for line in lines[start : start + size]])
        if empty:
            raise CsvError(_EMPTY)
        return
    columns, delimiter = header
    rows = _rows(text, columns, delimiter)
    while part := list(itertools.islice(rows, size)):
        full = [row for row in part if row is not None]
        empty = empty and not full
        yield Products(columns, full)
    if empty:
        raise CsvError(_NO_ROWS)


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CsvError(
            f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}"
        ) from None


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = _LINE_END.search(text, start + _PIECE)
        stop = end.end() if end else len(text)
        yield text[start:stop]
        start = stop


def _lines(text: str, delimiter: str) -> Iterator[str]:
    """Each line with its end, in little memory.

    Raises:
        CsvError: one has more fields than any table.
    """
    lines = (line for piece in _pieces(text) for line in _LINE.findall(piece))
    for number, line in enumerate(lines, 1):
        if len(line) > _MOST_FIELDS and line.count(delimiter) > _MOST_FIELDS:
            raise CsvError(f"line {number} has more than {_MOST_FIELDS} fields")
        yield line


def _rows(text: str, columns: tuple[str, ...], delimiter: str) -> Iterator[list[str] | None]:
    """The rows of a table below its header; None for a line that is blank."""
    at_end = False

    def lines() -> Iterator[str]:
        nonlocal at_end
        yield from _lines(text, delimiter)
        at_end = True
        yield _END

    reader = csv.reader(lines(), delimiter=delimiter)
    seen_header, begins = False, 1
    try:
        for row in reader:
            if at_end:
                if row != _END_READ:
                    raise CsvError(_never_closed(begins))
            elif not row or (len(row) == 1 and row[0] and not row[0].strip()):
                yield None
            elif not seen_header:
                seen_header = bool("".join(row).strip())
            elif len(row) > len(columns):
                raise CsvError(_too_many(reader.line_num, row, columns, delimiter))
            else:
                yield row + [""] * (len(columns) - len(row))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise CsvError(f"line {reader.line_num}: {error}") from None


def _never_closed(line: int) -> str:
    return (
        f"line {line}: a double quote opens a field and is never closed; "
        "put a text that has quotes in it in double quotes, and write each of its own twice"
    )


def _too_many(line: int, row: list[str], columns: tuple[str, ...], delimiter: str) -> str:
    return (
        f"line {line} has {len(row)} fields and the header {len(columns)}; "
        f"put a text that has a '{delimiter}' in it in double quotes"
    )


def _first_line(text: str) -> str:
    """The first line that is not blank; in linear time, however much blank there is."""
    start = len(text) - len(text.lstrip())
    begin = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    end = _LINE_END.search(text, start)
    return text[begin : end.start() if end else len(text)] if start < len(text) else ""


def is_stock_table(body: bytes, columns: Iterable[str]) -> bool:
    """Whether the first line, read as stock MLflow reads it, names one of the model's `columns`.

    A row of names that are all known is a table of products, which `read` reads.
    """
    line = _first_line(body.decode("utf-8-sig", "replace"))
    if line.count(",") > _MOST_FIELDS:
        return False
    fields = set(next(csv.reader([line]), []))
    return not fields.isdisjoint(columns) and not fields <= set(KNOWN_COLUMNS)


def _header(text: str) -> tuple[tuple[str, ...], str] | None:
    line = _first_line(text)
    if len(line) > 200:
        return None
    for delimiter in (",", ";"):
        fields = next(csv.reader([line], delimiter=delimiter), [])
        names = tuple(field.strip().casefold() for field in fields)
        if names and all(name in KNOWN_COLUMNS for name in names):
            if len(set(names)) < len(names):
                raise CsvError(f"the header names a column twice: {line.strip()}")
            # With one column a comma is part of the text.
            return names, delimiter if len(names) > 1 else _NO_DELIMITER
    return None


def _table(text: str, columns: tuple[str, ...], delimiter: str) -> list[list[str]]:
    lines = itertools.chain(io.StringIO(text, newline=""), [_END])
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        rows = []
    if not rows or rows.pop() != _END_READ:
        return _one_by_one(text, columns, delimiter)
    # Blank lines are no rows, before the header neither.
    rows = [row for row in rows if row and (len(row) > 1 or not row[0] or row[0].strip())]
    header = next(place for place, row in enumerate(rows) if "".join(row).strip())
    del rows[: header + 1]
    if set(map(len, rows)) - {len(columns)}:
        return _one_by_one(text, columns, delimiter)
    return rows


def _one_by_one(text: str, columns: tuple[str, ...], delimiter: str) -> list[list[str]]:
    """The same rows, by the slower way that fills them up, and tells which line is wrong."""
    return [row for row in _rows(text, columns, delimiter) if row is not None]


def _unquote(line: str) -> str:
    bare = line.strip()
    if len(bare) < 2 or bare[0] != '"' or bare[-1] != '"':
        return line
    inside = bare[1:-1]
    # A lone quote inside ends the field early, so the line is no single field.
    if '"' in inside.replace('""', ""):
        return line
    return inside.replace('""', '"')


def is_table_of_numbers(body: bytes) -> bool:
    """Whether below its first line every field is a number: then it holds no product's text."""
    text = body.decode("utf-8-sig", "replace")
    first_end = _LINE_END.search(text)
    if _NO_NUMBER.search(text, first_end.end() if first_end else len(text)):
        return False
    some = False
    try:
        rows = csv.reader(_lines(text, ","))
        next(rows, None)
        for row in rows:
            if not all(map(_is_number, row)):
                return False
            some = some or bool(row)
    except CsvError:
        return False
    return some


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
