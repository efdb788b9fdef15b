"""Requests for MLflow's server as rows, and several of them as one.

Requests are alike if one body made of the rows of all is read by MLflow as each of them is alone:
the same form, columns, parameters, and types of values in every column, since pandas gives a column
one type for all of its rows. What can't be told for certain goes by itself.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hotserve.batching.csv_rows import read as read_csv

CSV, JSON = "text/csv", "application/json"
LARGEST = 64 << 10
"""Bytes; a larger request gains little from company, and would hold it up."""
MOST_ROWS = 128
"""Rows of one joint request."""
MOST_BYTES = 1 << 20
_TYPES = {
    f"{kind}{charset}".encode(): kind
    for kind in (CSV, JSON)
    for charset in ("", "; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8")
}
"""As clients write them; MLflow refuses other spellings and parameters."""
FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")

_EXACT = 1 << 53
"""Beyond it a whole number may change where its column becomes one of floats."""
_FLOATS = frozenset(("double", "float", "float64", "float32"))
ONLY_INPUT = ""
"""The name, among types of columns, of an input without one."""


class _Single(Exception):
    """It has to go by itself."""


@dataclass(frozen=True, slots=True)
class Part:
    """A request that may go together with others.

    Attributes:
        form: which one; see `read`.
        frame: what stands before, between and after `pieces`.
        kinds: the types of the values, column by column.
        pieces: its rows: in one piece, or column by column.
        rows: how many.
    """

    form: str
    frame: tuple[bytes, ...]
    kinds: tuple[Any, ...]
    pieces: tuple[bytes, ...]
    rows: int

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for requests that are alike."""
        return self.form, self.frame, self.kinds

    @property
    def size(self) -> int:
        """Bytes of its rows."""
        return sum(map(len, self.pieces))

    @property
    def content_type(self) -> bytes:
        """Of a request in this form."""
        return (CSV if self.form == CSV else JSON).encode()


def may_be_joined(content_type: bytes, body: bytes) -> bool:
    """Whether it is worth a closer look."""
    return len(body) <= LARGEST and content_type in _TYPES


def read(content_type: bytes, body: bytes, types: Mapping[str, str]) -> Part | None:
    """The request as a part of a larger one; None if it has to go by itself.

    Its form is `text/csv`, `dataframe_split`, `dataframe_records`, `inputs` or `instances`; the
    last two with `:records` behind for a list of objects, `:columns` for an object of lists.

    Args:
        types: the types that the model's signature gives to columns, by name.
    """
    if not may_be_joined(content_type, body):
        return None
    try:
        if _TYPES[content_type] == CSV:
            table = read_csv(body, types)
            if table is None:
                return None
            part = Part(CSV, (table.header, b""), table.kinds, (table.lines,), table.rows)
        else:
            part = _of_json(json.loads(body), types)
    except (_Single, ValueError, RecursionError, TypeError):
        return None
    return part if 0 < part.rows <= MOST_ROWS else None


def join(parts: Sequence[Part]) -> bytes:
    """The body of one request for parts that are alike."""
    frame, between = parts[0].frame, b"\n" if parts[0].form == CSV else b", "
    made = [frame[0]]
    for index, after in enumerate(frame[1:]):
        made += between.join([part.pieces[index] for part in parts]), after
    return b"".join(made)


def _of_json(request: Any, types: Mapping[str, str]) -> Part:
    if not isinstance(request, dict) or not {*request} <= {*FORMS, "params"}:
        raise _Single
    names = [name for name in request if name != "params"]
    if len(names) != 1:
        raise _Single
    name = names[0]
    data = request[name]
    rest = b"}"
    if "params" in request:
        rest = b", %b}" % json.dumps({"params": request["params"]})[1:-1].encode()
    begin = b'{"%b": ' % name.encode()
    if name == "dataframe_split":
        return _of_split(begin, data, rest, types)
    if isinstance(data, dict) and name != "dataframe_records":
        return _of_columns(f"{name}:columns", begin, data, rest, types)
    if not isinstance(data, list) or not data:
        raise _Single
    if isinstance(data[0], dict):
        columns = list(data[0])
        # The first row decides in which order the columns are.
        if any(not isinstance(row, dict) or list(row) != columns for row in data):
            raise _Single
        found = _kinds(columns, [list(row.values()) for row in data], types)
        kinds = (*columns, *found)
        form = name if name == "dataframe_records" else f"{name}:records"
    elif name == "dataframe_records":
        raise _Single
    else:
        is_float = types.get(ONLY_INPUT) in _FLOATS
        kinds, form = (_kind_of_all(data, is_float),), name
    return Part(form, (begin + b"[", b"]" + rest), kinds, (_rows(data),), len(data))


def _of_split(begin: bytes, split: Any, rest: bytes, types: Mapping[str, str]) -> Part:
    if not isinstance(split, dict) or not {*split} <= {"columns", "data"}:
        raise _Single
    rows, columns = split.get("data"), split.get("columns")
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], list):
        raise _Single
    width = len(rows[0])
    if any(not isinstance(row, list) or len(row) != width for row in rows):
        raise _Single
    if columns is not None:
        if not isinstance(columns, list) or len(columns) != width:
            raise _Single
        begin += b'{"columns": %b, "data": [' % json.dumps(columns).encode()
    else:
        begin += b'{"data": ['
    kinds = _kinds(columns or [None] * width, rows, types)
    return Part("dataframe_split", (begin, b"]}" + rest), kinds, (_rows(rows),), len(rows))


def _of_columns(
    form: str, begin: bytes, table: dict[str, Any], rest: bytes, types: Mapping[str, str]
) -> Part:
    columns = list(table.values())
    if not all(isinstance(column, list) for column in columns):
        raise _Single
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        raise _Single
    names = [json.dumps(name).encode() for name in table]
    frame = [begin + b"{%b: [" % names[0], *(b"], %b: [" % name for name in names[1:])]
    kinds = tuple(
        _kind_of_all(column, types.get(name) in _FLOATS) for name, column in table.items()
    )
    pieces = tuple(map(_rows, columns))
    return Part(form, (*frame, b"]}" + rest), kinds, pieces, lengths.pop())


def _kinds(
    columns: Sequence[Any], rows: Iterable[Sequence[Any]], types: Mapping[str, str]
) -> tuple[Any, ...]:
    declared = [isinstance(name, str) and types.get(name) in _FLOATS for name in columns]
    return tuple(map(_kind_of_all, zip(*rows, strict=True), declared))


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
        raise _Single
    if is_float and (kind is int or value is None):
        # The signature makes floats of them, whatever else is in the column.
        return float
    return kind


def _rows(rows: list[Any]) -> bytes:
    return json.dumps(rows)[1:-1].encode()
