"""Plain text/csv as rows: only what pandas reads alike in any company."""

import re
from collections.abc import Mapping

_INTEGER = re.compile(r"-?[0-9]{1,15}")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+([eE][+-]?[0-9]{1,3})?|[eE][+-]?[0-9]{1,3})")
_TEXT = re.compile(r"[^\W\d_]|[0-9]{4}-[0-9]{2}-[0-9]{2}\b")
"""It begins with a letter, or is a date."""
_MISSING = frozenset(("", "NA", "NaN", "nan", "null", "NULL", "None", "N/A", "n/a", "<NA>"))
_BOOLEANS = frozenset(("True", "TRUE", "true", "False", "FALSE", "false"))
_LIKE_NUMBERS = frozenset(("inf", "infinity", "nan", "none", "null", "na", "n/a", "true", "false"))
"""In some spelling pandas takes these for something else than texts."""
_FLOATS = frozenset(("double", "float"))


def read(
    body: bytes, types: Mapping[str, str]
) -> tuple[list[str], list[list[str]], tuple[frozenset[str], ...]]:
    """The names in the header, the rows below it, and the kinds of values in each column.

    Args:
        types: the types that the model's signature gives to columns, by name.

    Raises:
        ValueError: it can't be told for certain what pandas reads.
    """
    text = body.decode().replace("\r\n", "\n")
    lines = text.removesuffix("\n").split("\n")
    # A blank line is skipped, and a row of another length moves the columns or is an error.
    if '"' in text or "\0" in text or "\r" in text or not all(map(str.strip, lines)):
        raise ValueError
    names, *rows = [line.split(",") for line in lines]
    columns = zip(names, zip(*rows, strict=True), strict=True)
    kinds = [frozenset(_kind(cell, types.get(name)) for cell in cells) for name, cells in columns]
    return names, rows, tuple(kinds)


def _kind(cell: str, declared: str | None) -> str:
    """What decides the type of a column that this cell is in."""
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
    if _TEXT.match(cell) and cell.strip().lower() not in _LIKE_NUMBERS:
        return "text"
    raise ValueError
