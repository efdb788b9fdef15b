"""The shorter way to MLflow's predictions: the same answers as by MLflow's own application."""

import asyncio
from typing import Any

import pandas as pd
import pytest
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, scoring_server

from hotserve.processes.invocations import Invocations

pytestmark = pytest.mark.anyio

JSON, CSV = b"application/json", b"text/csv"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Sum:
    """Adds what is in a row."""

    def predict(self, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002
        return pd.DataFrame(model_input).sum(axis=1).to_numpy(float)


async def ask(
    application: Any, body: bytes, content_type: bytes, method: str = "POST", path: str = ""
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of an answer; the body of the request comes in two parts."""
    half = len(body) // 2
    incoming = [(body[:half], True), (body[half:], False)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if incoming:
            part, more = incoming.pop(0)
            return {"type": "http.request", "body": part, "more_body": more}
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": method,
        "path": path or "/invocations",
        "query_string": b"",
        "headers": [(b"content-type", content_type)],
    }
    async with asyncio.timeout(30):
        await application(scope, receive, send)
    whole = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), whole


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ((b'{"inputs": [[1, 2], [3, 4]]}', JSON), 200),
        ((b"a,b\n1,2\n", CSV), 200),
        ((b'{"inputs": ', JSON), 400),
        ((b'{"instances": [["x", 2]]}', JSON), 400),
        ((b"a,b\n1,2\n", b"text/csv; charset=latin-1"), 415),
        ((b"", b"image/png"), 415),
        ((b"", JSON, "GET"), 405),
        ((b"", JSON, "GET", "/ping"), 200),
        ((b"", JSON, "GET", "/version"), 200),
        ((b"", JSON, "POST", "/nothing"), 404),
    ],
)
async def test_an_answer_is_the_one_of_mlflows_application(
    request_: tuple[Any, ...], status: int
) -> None:
    model = PyFuncModel(Model(), Sum())
    mine = await ask(Invocations(model), *request_)
    mlflows = await ask(scoring_server.init(model), *request_)
    assert mine == mlflows
    assert mine[0] == status
