"""text/csv as products: one prediction for each product (docs/hotserve.md, "text/csv")."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hotserve.mlmodel import KNOWN_COLUMNS, TextInput

# The size of a body is limited elsewhere; one field may be all of it.
csv.field_size_limit(sys.maxsize)

_LINE_END = re.compile(r"\r\n|\n|\r")
_NO_DELIMITER = "\x1f"
_WHOLE_DOCUMENT = ("texto", "informacao")
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
        for column in _WHOLE_DOCUMENT:
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
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CsvError(
            f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}"
        ) from None
    header = _header(text)
    if header is None:
        lines = [line for line in _LINE_END.split(text) if line.strip()]
        if not lines:
            raise CsvError("the body is empty; send one product a line")
        return Products((), [(_unquote(line),) for line in lines])
    columns, delimiter = header
    rows = _table(text, columns, delimiter)
    if not rows:
        raise CsvError("the table has a header and no rows; send one product a line below it")
    return Products(columns, rows)


def _first_line(text: str) -> str:
    match = re.search(r"[^\r\n]*\S[^\r\n]*", text)
    return match.group() if match else ""


def is_stock_table(body: bytes, columns: Iterable[str]) -> bool:
    """Whether the first line, read as stock MLflow reads it, names one of the model's `columns`.

    A row of names that are all known is a table of products, which `read` reads.
    """
    line = _first_line(body.decode("utf-8-sig", "replace"))
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
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise CsvError(f"line {reader.line_num}: {error}") from None
    # Blank lines are no rows, before the header neither.
    rows = [row for row in rows if row and (len(row) > 1 or not row[0] or row[0].strip())]
    header = next(place for place, row in enumerate(rows) if "".join(row).strip())
    del rows[: header + 1]
    if set(map(len, rows)) - {len(columns)}:
        _check_lengths(text, columns, delimiter)
        return [row + [""] * (len(columns) - len(row)) for row in rows]
    return rows


def _check_lengths(text: str, columns: tuple[str, ...], delimiter: str) -> None:
    """Say which line is too long, if there is one; the reader counts lines, and `_table` rows."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for row in reader:
        if len(row) > len(columns):
            raise CsvError(
                f"line {reader.line_num} has {len(row)} fields and the header {len(columns)}; "
                f"put a text that has a '{delimiter}' in it in double quotes"
            )


def _unquote(line: str) -> str:
    bare = line.strip()
    if len(bare) < 2 or bare[0] != '"' or bare[-1] != '"':
        return line
    inside = bare[1:-1]
    # A lone quote inside ends the field early, so the line is no single field.
    if '"' in inside.replace('""', ""):
        return line
    return inside.replace('""', '"')


def to_json(products: Products, wanted: TextInput) -> bytes:
    """The same products as MLflow's JSON, in the form that the model takes."""
    if wanted.kind != "columns":
        return json.dumps({"inputs": products.texts()}, ensure_ascii=False).encode()
    data = frame(products, wanted.columns)
    table = {"columns": list(wanted.columns), "data": data}
    return json.dumps({"dataframe_split": table}, ensure_ascii=False).encode()


def frame(products: Products, columns: tuple[str, ...]) -> list[list[str]]:
    """The same products as rows of the model's `columns`; what is missing is empty."""
    shared = [column for column in columns if column in products.columns]
    # The column that takes the whole text when the model has none of the columns that came.
    whole = next((c for c in _WHOLE_DOCUMENT if c in columns), None)
    if shared and not (whole and whole not in shared):
        place = {name: index for index, name in enumerate(products.columns)}
        return [[row[place[c]] if c in place else "" for c in columns] for row in products.rows]
    target = whole or ("nome" if "nome" in columns else columns[0])
    return [[text if c == target else "" for c in columns] for text in products.texts()]


def is_table_of_numbers(body: bytes) -> bool:
    """Whether below its first line every field is a number: then it holds no product's text."""
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig", "replace"), newline="")))[1:]
    fields = [field for row in rows for field in row]
    return bool(fields) and all(_is_number(field) for field in fields)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
