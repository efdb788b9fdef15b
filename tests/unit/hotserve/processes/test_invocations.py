"""The shorter way to MLflow's predictions: the same answers as by MLflow's own application."""

import asyncio
import json
import threading
from typing import Any

import pandas as pd
import pytest
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, scoring_server

from hotserve.processes import invocations
from hotserve.processes.invocations import Invocations, PredictionExecutor

pytestmark = pytest.mark.anyio

JSON, CSV = b"application/json", b"text/csv"


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
        "headers": [(b"content-type", content_type), (b"content-length", b"%d" % len(body))],
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


class Clock:
    """In place of the module `time`: only what a model says it does takes time."""

    def __init__(self) -> None:
        self.wall = self.computed = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def thread_time(self) -> float:
        return self.computed

    def spend(self, computing: float, waiting: float) -> None:
        self.computed += computing
        self.wall += computing + waiting


class Worker:
    """Computes and waits for as long as its input says; notes in which thread, and may fail."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.threads: list[threading.Thread] = []

    def predict(self, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002
        (computing, waiting), *_ = model_input
        self._clock.spend(computing, waiting)
        self.threads.append(threading.current_thread())
        if computing + waiting < 0:
            raise ValueError(computing)
        return asyncio.run(self._answer())

    async def _answer(self) -> list[str]:
        await asyncio.sleep(0)
        return ["done"]


QUICK, SLOW, WAITING = (0.003, 0.001), (0.5, 0.0), (0.003, 0.004)


@pytest.fixture
async def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    clock = Clock()
    monkeypatch.setattr(invocations, "time", clock)
    asyncio.get_running_loop().set_default_executor(PredictionExecutor())
    return Worker(clock)


async def threads(worker: Worker, *tables: tuple[tuple[float, float], int]) -> list[bool]:
    """Ask for an answer to each; whether each was made in the loop's own thread."""
    application = Invocations(PyFuncModel(Model(), worker))
    for row, rows in tables:
        body = json.dumps({"inputs": [row] * rows}).encode()
        status, _, answer = await ask(application, body, JSON)
        assert (status, answer) == (200, b'{"predictions": ["done"]}')
    own = threading.current_thread()
    return [thread is own for thread in worker.threads]


async def test_quick_predictions_are_soon_made_without_another_thread(worker: Worker) -> None:
    assert await threads(worker, *[(QUICK, 1)] * 25) == [False] * 20 + [True] * 5


@pytest.mark.parametrize("row", [SLOW, WAITING])
async def test_slow_ones_and_ones_that_wait_never_keep_others_from_beginning(
    worker: Worker, row: tuple[float, float]
) -> None:
    assert not any(await threads(worker, *[(row, 1)] * 50))


async def test_a_large_request_never_does(worker: Worker) -> None:
    made = await threads(worker, *[(QUICK, 1)] * 40, (QUICK, 6000), (QUICK, 1))
    assert made[-3:] == [True, False, True]


async def test_a_model_that_became_slow_is_noticed(worker: Worker) -> None:
    made = await threads(worker, *[(QUICK, 1)] * 50, *[(SLOW, 1)] * 5)
    assert made[-5:] == [True, True, True, False, False]


async def test_an_error_is_the_same_in_either_thread(worker: Worker) -> None:
    application = Invocations(PyFuncModel(Model(), worker))
    answers = []
    for row, count in (((-1, 0), 1), (QUICK, 20), ((-1, 0), 1)):
        for _ in range(count):
            answers.append(await ask(application, json.dumps({"inputs": [row]}).encode(), JSON))
    own = threading.current_thread()
    assert [worker.threads[0] is own, worker.threads[-1] is own] == [False, True]
    for status, _, body in (answers[0], answers[-1]):
        assert (status, json.loads(body)["error_code"]) == (400, "BAD_REQUEST")
