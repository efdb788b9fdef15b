"""Requests for MLflow's server as rows, and several of them as one.

Requests are alike if one body made of the rows of all is read by MLflow as each of them is alone:
the same form, columns, parameters, and types of values in every column, since pandas gives a column
one type for all of its rows. What can't be told for certain goes by itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hotserve.batching import csv_rows

CSV, JSON = "text/csv", "application/json"
LARGEST = 64 << 10
"""Bytes; a larger request gains little from company, and would hold it up."""
MOST_ROWS = 128
"""Rows of one joint request."""
MOST_BYTES = 1 << 20
TYPES = {
    f"{kind}{charset}".encode(): kind
    for kind in (CSV, JSON)
    for charset in ("", "; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8")
}
"""As clients write them; MLflow refuses other spellings and parameters."""
SPLIT, RECORDS = "dataframe_split", "dataframe_records"
LISTS = ("inputs", "instances")
FORMS_OF_TABLES = (
    *(CSV, SPLIT, RECORDS),
    *(f"{name}:{shape}" for name in LISTS for shape in ("records", "columns")),
)
"""The usual ones first."""

_EXACT = 1 << 53
"""Beyond it a whole number may change where its column becomes one of floats."""
_FLOATS = frozenset(("double", "float", "float64", "float32"))
ONLY_INPUT = ""
"""The name, among types of columns, of an input without one."""


@dataclass(frozen=True, slots=True)
class Part:
    """A request that may go together with others.

    Attributes:
        form: one of `FORMS_OF_TABLES` or `LISTS`.
        names: of its columns; None where it has none.
        rows: each a list of the columns' values; of a list, its elements.
        params: the member of that name, if it is there.
        key: equal for requests that are alike.
        size: bytes of its body.
    """

    form: str
    names: Sequence[str] | None
    rows: Sequence[Any]
    params: Mapping[str, Any]
    key: tuple[Any, ...]
    size: int

    @property
    def content_type(self) -> bytes:
        """Of a request in this form."""
        return (CSV if self.form == CSV else JSON).encode()


def may_be_joined(content_type: bytes, body: bytes) -> bool:
    """Whether it is worth a closer look."""
    return len(body) <= LARGEST and content_type in TYPES


def read(content_type: bytes, body: bytes, types: Mapping[str, str]) -> Part | None:
    """The request as a part of a larger one; None if it has to go by itself.

    Args:
        types: the types that the model's signature gives to columns, by name.
    """
    if not may_be_joined(content_type, body):
        return None
    params: dict[str, Any] = {}
    names: Sequence[str] | None
    try:
        if TYPES[content_type] == CSV:
            form, (names, rows, kinds) = CSV, csv_rows.read(body, types)
        else:
            request = json.loads(body)
            params = {"params": request.pop("params")} if "params" in request else {}
            form, names, rows = table(request)
            kinds = _kinds(form, names, rows, types)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    key = form, json.dumps((names, params)), kinds
    part = Part(form, names, rows, params, key, len(body))
    return part if 0 < len(rows) <= MOST_ROWS else None


def join(parts: Sequence[Part]) -> bytes:
    """The body of one request for parts that are alike."""
    first, rows = parts[0], [row for part in parts for row in part.rows]
    return body_of(first.form, first.names, rows, first.params)


def table(request: Any) -> tuple[str, Sequence[str] | None, list[Any]]:
    """Form, names of columns, and rows of what MLflow is asked in JSON; see `Part`.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it is something else.
    """
    ((name, data),) = request.items()
    if name == SPLIT and {*data} <= {"columns", "data"}:
        names, rows = data.get("columns"), data["data"]
        if all(type(row) is list and len(row) == len(names or rows[0]) for row in rows):
            return name, names, rows
    elif name in LISTS and isinstance(data, dict):
        if all(type(column) is list for column in data.values()):
            return f"{name}:columns", [*data], [*map(list, zip(*data.values(), strict=True))]
    elif name in LISTS and isinstance(data, list) and not isinstance(data[0], dict):
        return name, None, data
    elif name in (*LISTS, RECORDS):
        # The first row decides in which order the columns are.
        names = [*data[0]]
        if all([*row] == names for row in data):
            form = name if name == RECORDS else f"{name}:records"
            return form, names, [[*row.values()] for row in data]
    raise ValueError


def body_of(
    form: str, names: Sequence[str] | None, rows: Sequence[Any], params: Mapping[str, Any]
) -> bytes:
    """A request for rows in a form; see `Part`."""
    if form == CSV:
        lines = [names or (), *rows]
        cells = [["" if value is None else str(value) for value in line] for line in lines]
        return "\n".join(map(",".join, cells)).encode()
    name, _, shape = form.partition(":")
    data: Any = rows
    if name == SPLIT:
        data = {"data": rows} if names is None else {"columns": names, "data": rows}
    elif shape == "columns":
        data = dict(zip(names or (), zip(*rows, strict=True), strict=True))
    elif names is not None:
        data = [dict(zip(names, row, strict=True)) for row in rows]
    return json.dumps({name: data, **params}).encode()


def _kinds(
    form: str, names: Sequence[str] | None, rows: Sequence[Any], types: Mapping[str, str]
) -> tuple[Any, ...]:
    """What decides the types of the columns."""
    columns = [rows] if form in LISTS else [*zip(*rows, strict=True)]
    of: Sequence[Any] = [ONLY_INPUT] if form in LISTS else names or [None] * len(columns)
    return tuple(
        _kind_of_all(values, types.get(name) in _FLOATS)
        for name, values in zip(of, columns, strict=True)
    )


def _kind_of_all(values: Sequence[Any], is_float: bool) -> Any:
    if len(values) == 1:
        return _kind(values[0], is_float)
    found = frozenset([_kind(value, is_float) for value in values])
    return next(iter(found)) if len(found) == 1 else found


def _kind(value: Any, is_float: bool) -> Any:
    """What decides the type of a column that this value is in."""
    kind = type(value)
    if kind is float or kind is str:
        return kind
    if kind is list:
        return len(value), frozenset([_kind(each, is_float) for each in value])
    if kind is dict or (kind is int and not -_EXACT < value < _EXACT):
        raise ValueError(f"a column with {value} may change in company")
    if is_float and (kind is int or value is None):
        # The signature makes floats of them, whatever else is in the column.
        return float
    return kind
