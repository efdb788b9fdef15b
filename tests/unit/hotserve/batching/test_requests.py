"""What goes together is read by MLflow as each request is alone; everything else stays alone."""

import json
from collections import defaultdict
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.pyfunc import scoring_server
from mlflow.types.schema import ColSpec, Schema

from hotserve.batching.requests import LARGEST, MOST_ROWS, Part, join, read

CSV, JSON = b"text/csv", b"application/json"
COLUMNS = ["n", "x", "s"]
SCHEMA = Schema(
    [ColSpec("long", "n", required=False), ColSpec("double", "x"), ColSpec("string", "s")]
)
TYPES = {"n": "long", "x": "double", "s": "string"}

SCALARS = (
    st.integers(-(2**70), 2**70)
    | st.floats(width=32)
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
)
NUMBERS = st.integers(-5, 5) | st.floats(-9, 9, width=16)
FORMS = (
    "dataframe_split",
    "dataframe_records",
    "inputs:records",
    "inputs:columns",
    "instances:records",
    "instances:columns",
)


def request(form: str, rows: list[list[Any]], columns: list[str]) -> dict[str, Any]:
    name, _, shape = form.partition(":")
    if name == "dataframe_split":
        return {name: {"columns": columns, "data": rows}}
    if shape == "columns":
        return {name: {c: [row[n] for row in rows] for n, c in enumerate(columns)}}
    return {name: [dict(zip(columns, row, strict=True)) for row in rows]}


def mlflow_reads(body: bytes, schema: Schema | None) -> Any:
    return scoring_server.infer_and_parse_data(json.loads(body), schema)  # type: ignore[arg-type]


def as_rows(data: Any) -> list[Any]:
    """Each row of what a model would be given, with the types of its values."""
    if isinstance(data, dict):
        data = pd.DataFrame({name: list(column) for name, column in data.items()})
    if isinstance(data, pd.DataFrame):
        return [
            [repr((name, data[name].dtype, data[name].iloc[n])) for name in data]
            for n in range(len(data))
        ]
    if isinstance(data, np.ndarray):
        return [repr((data.dtype.kind, value)) for value in data]
    return [repr(value) for value in data]


def groups(bodies: list[bytes], content_type: bytes, types: dict[str, str]) -> list[list[int]]:
    found: dict[Any, list[int]] = defaultdict(list)
    for place, body in enumerate(bodies):
        part = read(content_type, body, types)
        if part is not None:
            found[part.key].append(place)
    return list(found.values())


def parts_of(bodies: list[bytes], content_type: bytes, types: dict[str, str]) -> list[Part]:
    parts = [read(content_type, body, types) for body in bodies]
    return [part for part in parts if part is not None]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30, deadline=None)
@given(
    tables=st.lists(
        st.lists(st.tuples(SCALARS, SCALARS, SCALARS).map(list), min_size=1, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_json_without_a_signature(form: str, tables: list[list[list[Any]]]) -> None:
    bodies = [json.dumps(request(form, rows, COLUMNS)).encode() for rows in tables]
    check_json(bodies, {}, None)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30, deadline=None)
@given(
    tables=st.lists(
        st.lists(
            st.tuples(st.integers(-5, 5), NUMBERS, st.text(max_size=5)).map(list),
            min_size=1,
            max_size=3,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_json_with_a_signature(form: str, tables: list[list[list[Any]]]) -> None:
    bodies = [json.dumps(request(form, rows, COLUMNS)).encode() for rows in tables]
    # Whole numbers among floats do not keep requests apart where the signature says double.
    assert len(groups(bodies, JSON, TYPES)) == 1
    check_json(bodies, TYPES, SCHEMA)


@given(
    lists=st.lists(
        st.lists(SCALARS | st.lists(SCALARS, max_size=3), min_size=1, max_size=3),
        min_size=1,
        max_size=6,
    )
)
@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_json_lists(form: str, lists: list[list[Any]]) -> None:
    check_json([json.dumps({form: values}).encode() for values in lists], {}, None)


def check_json(bodies: list[bytes], types: dict[str, str], schema: Schema | None) -> None:
    for places in groups(bodies, JSON, types):
        alike = [bodies[place] for place in places]
        parts = parts_of(alike, JSON, types)
        try:
            apart = [as_rows(mlflow_reads(body, schema)) for body in alike]
        except Exception:
            # It is refused; then the joint one is, and they are asked one by one.
            continue
        together = as_rows(mlflow_reads(join(parts), schema))
        assert together == [row for rows in apart for row in rows]
        assert [len(part.rows) for part in parts] == [len(rows) for rows in apart]


CELLS = (
    st.integers(-(10**20), 10**20).map(str)
    | st.floats().map(str)
    | st.sampled_from(["", "NA", "null", "True", "false", "inf", "+5", "007", " 1", "1e5", "0x1f"])
    | st.sampled_from(["a", "b c", "2026-01-02", "São", "1_000", "1.", ".5", "NaN", "nan", "None"])
)


@given(
    tables=st.lists(
        st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=3), min_size=1, max_size=8
    ),
    typed=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_csv(tables: list[list[tuple[str, str]]], typed: bool, ending: str) -> None:
    types = {"x": "double", "s": "string"} if typed else {}
    schema = Schema([ColSpec("double", "x"), ColSpec("string", "s")]) if typed else None
    bodies = [ending.join(["x,s", *map(",".join, rows), ""]).encode() for rows in tables]
    for places in groups(bodies, CSV, types):
        alike = [bodies[place] for place in places]
        parts = parts_of(alike, CSV, types)
        try:
            apart = [as_rows(parse_csv(body, schema)) for body in alike]
        except Exception:
            continue
        assert as_rows(parse_csv(join(parts), schema)) == [row for rows in apart for row in rows]
        assert [len(part.rows) for part in parts] == [len(rows) for rows in apart]


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (["7", "-12"], "integer"),
        (["0.5", "-1.25e3", "1e5"], "float"),
        (["", "NA", "null"], "missing"),
        (["True", "false"], "boolean"),
        (["batom matte", "São", "2026-01-02"], "text"),
    ],
)
def test_plain_csv_of_one_kind_goes_together(rows: list[str], kind: str) -> None:
    parts = parts_of([f"x,y\n1,{row}\n".encode() for row in rows], CSV, {})
    assert len(parts) == len(rows)
    assert len({part.key for part in parts}) == 1
    assert kind in repr(parts[0].key)


def parse_csv(body: bytes, schema: Schema | None) -> Any:
    return scoring_server.parse_csv_input(StringIO(body.decode()), schema)  # type: ignore[arg-type]


def test_params_stay_with_their_requests() -> None:
    one, same, other = (
        read(JSON, json.dumps({"inputs": [n], "params": {"p": p}}).encode(), {})
        for n, p in ((1, 1), (2, 1), (3, 2))
    )
    assert one
    assert same
    assert other
    assert one.key == same.key != other.key
    assert json.loads(join([one, same])) == {"inputs": [1, 2], "params": {"p": 1}}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b'{"messages": [{"role": "user", "content": "a"}]}'),
        (JSON, b'{"inputs": [1], "instances": [1]}'),
        (JSON, b'{"inputs": [1], "more": 1}'),
        (JSON, b'{"inputs": "a"}'),
        (JSON, b'{"inputs": []}'),
        (JSON, b'{"inputs": {"a": 1}}'),
        (JSON, b'{"inputs": {"a": [1], "b": [1, 2]}}'),
        (JSON, b'{"inputs": [{"a": 1}, {"b": 1}]}'),
        (JSON, b'{"inputs": [{"a": {"b": 1}}]}'),
        (JSON, b'{"dataframe_split": {"columns": ["a"], "data": [[1]], "index": [4]}}'),
        (JSON, b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}'),
        (JSON, b'{"dataframe_split": {"data": []}}'),
        (JSON, b'{"dataframe_records": {"a": [1]}}'),
        (JSON, b'{"dataframe_records": [[1]]}'),
        (JSON, b'{"inputs": [9007199254740993]}'),
        (JSON, b'{"inputs": [1], "stream": true}'),
        (JSON, b"[1]"),
        (JSON, b"{"),
        (JSON, b'{"inputs": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
        (JSON, b'{"inputs": [%b]}' % b", ".join([b"1"] * (MOST_ROWS + 1))),
        (JSON, b'{"inputs": ["%b"]}' % (b"a" * LARGEST)),
        (b"application/json; a=b", b'{"inputs": [1]}'),
        (b"Application/JSON", b'{"inputs": [1]}'),
        (b"application/vnd.apache.parquet", b"PAR1"),
        (CSV, b""),
        (CSV, b"a,b\n"),
        (CSV, b'a,b\n"1",2\n'),
        (CSV, b"a,b\n1\n"),
        (CSV, b"a,b\n1,2,3\n"),
        (CSV, b"a,b\n1,2\n\n3,4\n"),
        (CSV, b"\na,b\n1,2\n"),
        (CSV, b"a\r1\r"),
        (CSV, b"a,b\n1,\xff\n"),
    ],
)
def test_what_goes_by_itself(content_type: bytes, body: bytes) -> None:
    assert read(content_type, body, {}) is None
