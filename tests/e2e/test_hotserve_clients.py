"""What a client is told: of a model that fails, of a form, on another origin."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.hotserve_models import save_faulty
from tests.e2e.hotserve_process import PATIENCE, Hotserve, eventually, running_hotserve

SHOP = "https://shop.example"
CODE = """
import pandas

class Model:
    def predict(self, data, params=None):
        what = str(data.iloc[0, 0])
        if what == "raise":
            raise ValueError("no such product: segredo")
        answers = {"set": {1, 2}, "object": [object()], "columns": list(data.columns)}
        return answers.get(what, [what])

def _load_pyfunc(path):
    return Model()
"""


@pytest.fixture(scope="module")
def hotserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotserve]:
    home = tmp_path_factory.mktemp("failing")
    folder = save_faulty(home / "model", CODE)
    options = ("--workers", "1", "--cors-origins", SHOP)
    with running_hotserve(folder, home, options=options) as running:
        running.wait_until_serving()
        yield running


def ask(hotserve: Hotserve, what: str, column: Any = "x") -> requests.Response:
    return hotserve.invoke({"dataframe_split": {"columns": [column], "data": [[what]]}})


def test_the_stack_trace_of_a_model_that_raises_is_in_the_log_alone(hotserve: Hotserve) -> None:
    for _ in range(3):
        answer = ask(hotserve, "raise")
        assert answer.status_code == 400
        message = answer.json()["message"]
        assert "unexpected error while evaluating the model" in message
        assert "The log of hotserve has the model's stack trace." in message
        assert "segredo" not in answer.text
        assert "Traceback" not in answer.text
    eventually(
        lambda: "ValueError: no such product: segredo" in hotserve.log.read_text(),
        "the log does not say why",
    )
    log = hotserve.log.read_text()
    assert "faulty.py" in log
    # Not once for each request.
    assert log.count("segredo") == log.count("no such product: segredo") <= 2


@pytest.mark.parametrize("what", ["set", "object"])
@pytest.mark.parametrize("column", ["x", 0])
def test_an_answer_that_json_can_not_carry_is_not_the_clients_fault(
    hotserve: Hotserve, what: str, column: Any
) -> None:
    answer = ask(hotserve, what, column)
    assert answer.status_code == 500
    assert answer.json()["error_code"] == "INTERNAL_ERROR"
    assert "its answer can't be sent as JSON" in answer.json()["message"]


def test_columns_may_be_numbers(hotserve: Hotserve) -> None:
    assert ask(hotserve, "columns", 0).json() == {"predictions": [0]}


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_who_sends_a_form_is_told_how_to_send_a_file(hotserve: Hotserve, kind: str) -> None:
    answer = hotserve.post(b"--x", kind)
    assert answer.status_code == 415
    assert "--data-binary @products.csv" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/ping", "/invocations"])
def test_a_slash_at_the_end_changes_nothing(hotserve: Hotserve, path: str) -> None:
    method, body = (
        ("GET", None) if path == "/ping" else ("POST", {"dataframe_records": [{"x": "a"}]})
    )
    plain, slashed = (
        requests.request(method, hotserve.url + each, json=body, timeout=PATIENCE)
        for each in (path, path + "/")
    )
    assert plain.status_code == slashed.status_code == 200
    assert plain.content == slashed.content
    assert slashed.history == []


def test_a_page_of_another_origin_may_ask_if_it_is_named(hotserve: Hotserve) -> None:
    url = f"{hotserve.url}/invocations"
    for origin, allowed in ((SHOP, SHOP), ("https://other.example", None)):
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = requests.options(url, headers=asks, timeout=PATIENCE)
        assert preflight.status_code == (204 if allowed else 405)
        answer = requests.post(
            url,
            json={"dataframe_records": [{"x": "a"}]},
            headers={"Origin": origin},
            timeout=PATIENCE,
        )
        assert answer.json() == {"predictions": ["a"]}
        for each in (preflight, answer):
            assert each.headers.get("Access-Control-Allow-Origin") == allowed
            assert each.headers["Vary"] == "Origin"
