"""hotserve under requests that schemathesis and hypothesis make up."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error

from tests.e2e.hotserve_models import save, text_model
from tests.e2e.hotserve_process import PATIENCE, Hotserve, running_hotserve
from tests.support.commands import ROOT

OPENAPI = ROOT / "classificador-produtos/hotserve/openapi.json"
schema = schemathesis.openapi.from_path(OPENAPI)

bounded = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def hotserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotserve]:
    home = tmp_path_factory.mktemp("schema")
    folder = save(text_model(), home / "model")
    with running_hotserve(folder, home, options=("--workers", "1")) as server:
        server.wait_until_serving(lane="open")
        yield server


@schema.parametrize()
@settings(bounded, max_examples=20)
def test_requests_made_from_the_description(
    case: schemathesis.Case[Any], hotserve: Hotserve
) -> None:
    answer = case.call(base_url=hotserve.url, timeout=PATIENCE)
    case.validate_response(answer, checks=[not_a_server_error])
    if answer.status_code >= 400 and case.method != "HEAD":
        fields = {"error"} if case.path.startswith("/v2") else {"error_code", "message"}
        assert set(answer.json()) >= fields


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_values = st.recursive(
    _scalars | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["nome", "texto", "columns", "data", "x"]), inner)
    ),
    max_leaves=12,
)
_names = st.sampled_from(
    ["inputs", "instances", "dataframe_split", "dataframe_records", "params", "messages", "x"]
)
_split = st.fixed_dictionaries(
    {"dataframe_split": st.fixed_dictionaries({"columns": _values, "data": _values})}
)
_json = st.dictionaries(_names, _values, min_size=1, max_size=2) | _split | _values


def post(hotserve: Hotserve, body: bytes, content_type: str) -> None:
    answer = hotserve.post(body, content_type)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()) >= {"error_code", "message"}
        assert "stack_trace" not in answer.json()


@given(_json)
@bounded
def test_any_json(hotserve: Hotserve, body: object) -> None:
    post(hotserve, json.dumps(body).encode(), "application/json")


@given(
    st.binary(max_size=200) | st.text('ab,;"\n\r\0é', max_size=60).map(str.encode),
    st.sampled_from(["text/csv", "application/json", "application/vnd.apache.parquet"]),
)
@bounded
def test_any_bytes(hotserve: Hotserve, body: bytes, content_type: str) -> None:
    post(hotserve, body, content_type)
