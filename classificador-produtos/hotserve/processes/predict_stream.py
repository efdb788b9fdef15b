"""MLflow's scoring server for a model that streams: `uvicorn --factory predict_stream:application`.

MLflow's own gives an answer when it is whole, whatever a request asks for. Here one of JSON with
`"stream": true` gets what the model's `predict_stream` yields as it comes, in the form of MLflow's
AgentServer: server-sent events. Everything else is MLflow's server. Run by the Python that has
MLflow; imports nothing of hotserve's.
"""

import asyncio
import contextlib
import contextvars
import json
import logging
import os
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi.responses import Response, StreamingResponse
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc import scoring_server as _scoring_server
from mlflow.utils.proto_json_utils import NumpyEncoder

scoring_server: Any = _scoring_server  # without annotations
_logger = logging.getLogger("mlflow.pyfunc.scoring_server")
_END = object()
_NO_BUFFER = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""For what stands between here and the client; the second one is nginx's."""


def application() -> "PredictStream":
    """The ASGI application, for the model that the environment names, as MLflow's own."""
    folder = os.environ[scoring_server._SERVER_MODEL_PATH]
    return PredictStream(scoring_server.load_model_with_mlflow_config(folder))


class PredictStream:
    """MLflow's application, and streams beside it."""

    def __init__(self, model: PyFuncModel) -> None:
        self._model = model
        self._mlflow: Any = scoring_server.init(model)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", "/invocations"):
            await self._mlflow(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        request = _asks_for_stream(scope, body)
        if request is not None:
            answer = await self._answer(request)
            await answer(scope, receive, send)
            return
        whole = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Any:
            return whole.pop() if whole else await receive()

        await self._mlflow(scope, again, send)

    async def _answer(self, request: dict[str, Any]) -> Response:
        """What goes wrong before the first event is an error as MLflow's server answers it."""
        failed: Any
        events = _in_thread(lambda: self._predict(request))
        try:
            first = await anext(events, _END)
        except MlflowException as error:
            failed = error
        except Exception:
            message = "Encountered an unexpected error while evaluating the model."
            stack_trace = traceback.format_exc()
            failed = MlflowException(message, error_code=BAD_REQUEST, stack_trace=stack_trace)
        else:
            lines = _lines(first, events)
            return StreamingResponse(lines, headers=_NO_BUFFER, media_type="text/event-stream")
        return Response(
            failed.serialize_as_json(), failed.get_http_status_code(), media_type="application/json"
        )

    def _predict(self, request: dict[str, Any]) -> Iterator[Any]:
        metadata: Any = self._model.metadata
        parsed = scoring_server._parse_json_data(
            json.dumps(request), metadata, metadata.get_input_schema()
        )
        return self._model.predict_stream(parsed.data, params=parsed.params)


def _asks_for_stream(scope: Any, body: bytes) -> dict[str, Any] | None:
    """The request without `stream`, if it is one of JSON that has it."""
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if kind.partition(b";")[0].strip() != b"application/json" or b'"stream"' not in body:
        return None
    try:
        request = json.loads(body)
    except ValueError:
        return None
    if not isinstance(request, dict) or request.pop("stream", None) is not True:
        return None
    return request


async def _in_thread(begin: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
    """What an iterator gives, made and used in one thread, as models keep things there.

    Closed, it ends at the next thing that it gives.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    thread, at_the_end = ThreadPoolExecutor(1, "stream"), contextlib.ExitStack()

    def call(function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
        return loop.run_in_executor(thread, context.run, function, *args)

    def first() -> Iterator[Any]:
        iterator = begin()
        if hasattr(iterator, "close"):
            at_the_end.callback(iterator.close)
        return iter(iterator)

    try:
        iterator = await call(first)
        while (value := await call(next, iterator, _END)) is not _END:
            yield value
    finally:
        # After what the thread does now; nobody waits for it.
        thread.submit(context.run, at_the_end.close)
        thread.shutdown(wait=False)


async def _lines(first: Any, events: AsyncIterator[Any]) -> AsyncIterator[str]:
    """Server-sent events, and one more that says that it is over."""
    try:
        if first is not _END:
            yield _line(first)
            async for event in events:
                yield _line(event)
    except Exception:
        _logger.exception("the model failed in the middle of a stream")
        yield _line({"error": "the model failed; the output of its process says why"})
    yield "data: [DONE]\n\n"


def _line(event: Any) -> str:
    return f"data: {json.dumps(event, cls=NumpyEncoder)}\n\n"
