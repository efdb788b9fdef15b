"""Tables of products in MLflow's JSON, with the names of columns as people write them."""

import json
from collections.abc import Sequence
from typing import Any

from hotserve.inputs import json_forms
from hotserve.inputs.bodies import CsvError
from hotserve.inputs.columns import ColumnsError, known, text_columns
from hotserve.inputs.csv import Products
from hotserve.inputs.mlflow_json import to_json
from hotserve.inputs.model_input import TextInput

_KINDS = (json_forms.SPLIT, json_forms.RECORDS, json_forms.INPUTS, json_forms.INSTANCES)


def translate(body: bytes, wanted: TextInput) -> tuple[bytes, int | None]:
    """A request with its table in the form that the model takes, and how many rows it has.

    What is no table of texts, or has the model's own columns, stays as it came: the model's
    process says what is wrong with it.

    Returns:
        No number of rows where only the model's process can tell.

    Raises:
        CsvError: no column holds a text, two have the same name, or it is no table at all.
    """
    try:
        request = json.loads(body)
        (kind,) = [kind for kind in _KINDS if kind in request]
        data = request.pop(kind)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return body, None
    if not request.keys() <= {"params"}:
        # MLflow takes a request with `messages` and its like whole, and not what stands in it.
        return body, None
    if kind == json_forms.SPLIT and isinstance(data, dict):
        for part in ("columns", "data"):
            if not isinstance(data.get(part, []), list):
                raise CsvError(f"{kind}: '{part}' must be a list")
    found = table(kind, data)
    if found is None:
        return body, len(data) if isinstance(data, list) else None
    names, rows = found
    if not rows or not known(names, wanted.columns) or {*names} == {*wanted.columns}:
        return body, len(rows)
    try:
        indexes = text_columns(names, wanted.columns)
    except ColumnsError as error:
        raise CsvError(f"{kind}: {error}") from None
    if wanted.columns and indexes.keys().isdisjoint(wanted.columns):
        return body, len(rows)
    chosen = [["" if row[at] is None else row[at] for at in indexes.values()] for row in rows]
    if not all(isinstance(value, str) for row in chosen for value in row):
        return body, len(rows)
    return to_json([Products(tuple(indexes), chosen)], wanted, request)


def table(kind: str, data: Any) -> tuple[list[str], Sequence[Sequence[Any]]] | None:
    """The names of a table's columns and its rows; None where it is none."""
    try:
        if kind == json_forms.SPLIT:
            if not data.keys() <= {"columns", "index", "data"}:
                return None
            names, rows = data["columns"], data["data"]
        elif isinstance(data, dict):
            names, rows = [*data], [*zip(*data.values(), strict=True)]
            if not all(isinstance(column, list) for column in data.values()):
                return None
        else:
            names = [*dict.fromkeys(name for row in data for name in row.keys())]  # noqa: SIM118
            rows = [[row.get(name) for name in names] for row in data]
        is_table = all(isinstance(name, str) for name in names) and names
        return (names, rows) if is_table and {*map(len, rows)} <= {len(names)} else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
