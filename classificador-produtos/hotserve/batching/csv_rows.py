"""Plain text/csv as rows: only what pandas reads alike in any company."""

import re
from collections.abc import Mapping
from typing import NamedTuple

_INTEGER = re.compile(r"-?[0-9]{1,15}")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+([eE][+-]?[0-9]{1,3})?|[eE][+-]?[0-9]{1,3})")
_TEXT = re.compile(r"[^\W\d_]|[0-9]{4}-[0-9]{2}-[0-9]{2}\b")
"""It begins with a letter, or is a date."""
_MISSING = frozenset(("", "NA", "NaN", "nan", "null", "NULL", "None", "N/A", "n/a", "<NA>"))
_BOOLEANS = frozenset(("True", "TRUE", "true", "False", "FALSE", "false"))
_LIKE_NUMBERS = frozenset(("inf", "infinity", "nan", "none", "null", "na", "n/a", "true", "false"))
"""In some spelling pandas takes these for something else than texts."""
_FLOATS = frozenset(("double", "float"))


class CsvRows(NamedTuple):
    """A table without its header: `lines` have no line end behind the last one."""

    header: bytes
    lines: bytes
    kinds: tuple[frozenset[str], ...]
    rows: int


def read(body: bytes, types: Mapping[str, str]) -> CsvRows | None:
    """The rows below the header; None where it can't be told for certain what pandas reads.

    Args:
        types: the types that the model's signature gives to columns, by name.
    """
    if b'"' in body or b"\0" in body:
        return None
    text = body.decode().replace("\r\n", "\n")
    if "\r" in text:
        return None
    header, *lines = text.removesuffix("\n").split("\n")
    names = header.split(",")
    # A blank line is skipped, and a row of another length moves the columns or is an error.
    if not header.strip() or not lines or not all(map(str.strip, lines)):
        return None
    rows = [line.split(",") for line in lines]
    if any(len(row) != len(names) for row in rows):
        return None
    kinds = []
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        found = {_kind(cell, types.get(name)) for cell in cells}
        if None in found:
            return None
        kinds.append(frozenset(kind for kind in found if kind))
    joined = "\n".join(lines).encode()
    return CsvRows(header.encode() + b"\n", joined, tuple(kinds), len(rows))


def _kind(cell: str, declared: str | None) -> str | None:
    """What decides the type of a column that this cell is in; None if that is not certain."""
    if declared == "string":
        return "text"
    if _INTEGER.fullmatch(cell):
        return "float" if declared in _FLOATS else "integer"
    if _FLOAT.fullmatch(cell):
        return "float"
    if cell in _MISSING:
        return "float" if declared in _FLOATS else "missing"
    if cell in _BOOLEANS:
        return "boolean"
    is_text = _TEXT.match(cell) and cell.strip().lower() not in _LIKE_NUMBERS
    return "text" if is_text else None
