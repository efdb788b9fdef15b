"""The answer to a joint request, taken apart."""

import json
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.pyfunc.scoring_server import predictions_to_json

from hotserve.batching.answers import WrongLength, same, split

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)


def mlflow_writes(answer: Any) -> bytes:
    written = StringIO()
    predictions_to_json(answer, written)  # type: ignore[no-untyped-call]
    return written.getvalue().encode()


@given(answers=st.lists(st.lists(VALUES, min_size=1, max_size=4), min_size=1, max_size=5))
def test_each_gets_its_own_rows_in_mlflows_own_bytes(answers: list[list[Any]]) -> None:
    joint = mlflow_writes([row for rows in answers for row in rows])
    parts = split(joint, [len(rows) for rows in answers])
    assert parts == [mlflow_writes(rows) for rows in answers]


@pytest.mark.parametrize(
    "answer",
    [
        np.array([0.1, 1e-12, 3], "float32"),
        pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "ç"]}),
        pd.Series([0.1, float("nan"), 2]),
    ],
    ids=["array", "table", "series"],
)
def test_what_models_return(answer: Any) -> None:
    whole = json.loads(mlflow_writes(answer))["predictions"]
    first, rest = split(mlflow_writes(answer), [1, 2])
    assert first == json.dumps({"predictions": whole[:1]}).encode()
    assert rest == json.dumps({"predictions": whole[1:]}).encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"predictions": [1, 2]}', "it gave 2 predictions for 3 rows"),
        (b'{"predictions": []}', "it gave 0 predictions for 3 rows"),
        (b'{"predictions": {"a": [1, 2, 3]}}', "its 'predictions' are no list"),
        (b'{"predictions": [1, 2, 3], "trace": 1}', "something else than 'predictions'"),
        (b"[1, 2, 3]", "something else than 'predictions'"),
        (b'{"predictions": [1, 2', "no JSON"),
    ],
)
def test_what_is_not_one_for_each_row(body: bytes, why: str) -> None:
    with pytest.raises(WrongLength, match=why):
        split(body, [1, 2])


def test_floats_are_the_same_to_a_tolerance_and_all_else_is_not() -> None:
    assert same([{"a": 1.0, "b": ["x", float("nan")]}], [{"a": 1.000001, "b": ["x", float("nan")]}])
    for one, other in [(1.0, 1.001), (1, 2), (1, 1.0), (1, True), ("a", "b"), ([1], [1, 1])]:
        assert not same(one, other)
    assert not same({"a": 1, "b": 2}, {"b": 2, "a": 1})
