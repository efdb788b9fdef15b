"""Products as the JSON that MLflow's server takes."""

from __future__ import annotations

import json

from hotserve.inputs.csv import WHOLE_DOCUMENT, Products, read_in_parts
from hotserve.inputs.model_input import TextInput


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
    whole = next((c for c in WHOLE_DOCUMENT if c in columns), None)
    if shared and not (whole and whole not in shared):
        place = {name: index for index, name in enumerate(products.columns)}
        return [[row[place[c]] if c in place else "" for c in columns] for row in products.rows]
    target = whole or ("nome" if "nome" in columns else columns[0])
    return [[text if c == target else "" for c in columns] for text in products.texts()]


def large_to_json(body: bytes, wanted: TextInput) -> bytes:
    """The same as `to_json` of `read`, made in parts.

    Raises:
        CsvError: as `read`.
    """
    parts = []
    for products in read_in_parts(body, 1024):
        of_columns = wanted.kind == "columns"
        items = frame(products, wanted.columns) if of_columns else products.texts()
        if items:
            parts.append(json.dumps(items, ensure_ascii=False)[1:-1].encode())
    data = b", ".join(parts)
    if wanted.kind != "columns":
        return b'{"inputs": [%s]}' % data
    columns = json.dumps(list(wanted.columns), ensure_ascii=False).encode()
    return b'{"dataframe_split": {"columns": %s, "data": [%s]}}' % (columns, data)
