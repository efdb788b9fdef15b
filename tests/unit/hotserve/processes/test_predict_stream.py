"""The server of a model that streams: MLflow's own, and events as they come."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel

from hotserve.processes.predict_stream import PredictStream

pytestmark = pytest.mark.anyio

JSON = b"application/json"
KEPT: ContextVar[str] = ContextVar("KEPT")


class Agent:
    """Yields what the test lets it, by `step`.

    Attributes:
        asked: what it was given.
        is_closed: set when its generator was closed before its end.
    """

    def __init__(self, *events: Any) -> None:
        self.events = events
        self.steps = threading.Semaphore(0)
        self.asked: list[Any] = []
        self.threads: set[int] = set()
        self.is_closed = threading.Event()

    def predict(self, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002
        return {"whole": model_input}

    def predict_stream(self, model_input: Any, params: Any = None) -> Iterator[Any]:  # noqa: ARG002
        self.asked.append(model_input)
        # As MLflow's traces and contexts of predictions do.
        token = KEPT.set("x")
        try:
            for event in self.events:
                self.steps.acquire()
                self.threads.add(threading.get_ident())
                if isinstance(event, Exception):
                    raise event
                yield event
        except GeneratorExit:
            self.is_closed.set()
            raise
        finally:
            KEPT.reset(token)


class Client:
    """One request; `sent` is what the server sent so far."""

    def __init__(self, agent: Agent, body: Any, content_type: bytes = JSON) -> None:
        model = PyFuncModel(Model(), agent, predict_stream_fn="predict_stream")
        self.sent: list[dict[str, Any]] = []
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        half = len(text) // 2
        self._incoming = [(text[:half], True), (text[half:], False)]
        self.is_gone = asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "method": "POST",
            "path": "/invocations",
            "query_string": b"",
            "headers": [(b"content-type", content_type)],
        }
        answering = PredictStream(model)(scope, self._receive, self._send)
        self.answering = asyncio.create_task(answering)

    async def _receive(self) -> dict[str, Any]:
        if self._incoming:
            part, more = self._incoming.pop(0)
            return {"type": "http.request", "body": part, "more_body": more}
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def body(self) -> str:
        return b"".join(each.get("body", b"") for each in self.sent).decode()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    async def whole(self) -> str:
        async with asyncio.timeout(30):
            await self.answering
        return self.body


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_events_come_one_by_one_from_one_thread() -> None:
    agent = Agent({"n": 1}, {"n": 2}, "três")
    client = Client(agent, {"input": "oi", "stream": True})
    agent.steps.release()
    await until(lambda: client.body)
    assert client.body == 'data: {"n": 1}\n\n'
    headers = dict(client.sent[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert b"content-length" not in headers
    agent.steps.release(2)
    told = [line for line in (await client.whole()).split("\n\n") if line]
    assert [json.loads(line.removeprefix("data: ")) for line in told[:-1]] == [*agent.events]
    assert told[-1] == "data: [DONE]"
    assert (client.status, len(agent.threads)) == (200, 1)
    assert agent.asked == [{"input": "oi"}]


@pytest.mark.parametrize(
    "body",
    [
        {"input": "oi"},
        {"input": "oi", "stream": False},
        {"input": "oi", "stream": "true"},
        {"input": 'say "stream"'},
    ],
)
async def test_everything_else_is_mlflows(body: dict[str, Any]) -> None:
    agent = Agent({"n": 1})
    client = Client(agent, body)
    assert json.loads(await client.whole()) == {"whole": body}
    assert (client.status, agent.asked) == (200, [])


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"stream": true', JSON, 400),
        (b'["stream", true]', JSON, 400),
        (b'{"input": "oi", "stream": true}', b"text/plain", 415),
    ],
)
async def test_what_can_t_be_read_is_mlflows_to_refuse(
    body: bytes, content_type: bytes, status: int
) -> None:
    agent = Agent({"n": 1})
    client = Client(agent, body, content_type)
    await client.whole()
    assert (client.status, agent.asked) == (status, [])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MlflowException.invalid_parameter_value("no such tool"), "no such tool"),
        (ZeroDivisionError(), "unexpected error while evaluating the model"),
    ],
)
async def test_a_failure_before_the_first_event_is_an_error_as_always(
    error: Exception, told: str
) -> None:
    agent = Agent(error)
    agent.steps.release()
    client = Client(agent, {"input": "oi", "stream": True})
    answer = json.loads(await client.whole())
    assert (client.status, told in answer["message"]) == (400, True)
    if isinstance(error, ZeroDivisionError):
        assert "ZeroDivisionError" in answer["stack_trace"]


async def test_a_failure_in_the_middle_is_the_last_event_but_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlflow"), "propagate", True)
    agent = Agent({"n": 1}, ZeroDivisionError("/home/somebody"))
    agent.steps.release(2)
    client = Client(agent, {"input": "oi", "stream": True})
    first, error, done, rest = (await client.whole()).split("\n\n")
    assert (first, done, rest) == ('data: {"n": 1}', "data: [DONE]", "")
    said = json.loads(error.removeprefix("data: "))["error"]
    assert said.startswith("the model failed")
    assert "somebody" not in said
    # As the event says.
    assert "ZeroDivisionError: /home/somebody" in caplog.text


async def test_a_model_that_gives_no_event_is_at_its_end() -> None:
    client = Client(Agent(), {"input": "oi", "stream": True})
    assert await client.whole() == "data: [DONE]\n\n"


async def test_a_client_that_goes_ends_the_model_s_work() -> None:
    agent = Agent(*range(1000))
    client = Client(agent, {"input": "oi", "stream": True})
    agent.steps.release(2)
    await until(lambda: "1" in client.body)
    client.is_gone.set()
    async with asyncio.timeout(30):
        await client.answering
    agent.steps.release(1000)
    assert await asyncio.to_thread(agent.is_closed.wait, 30)
