"""MLflow's scoring server, asked more directly: `uvicorn --factory invocations:application`.

MLflow keeps its time limit in a middleware made with Starlette's BaseHTTPMiddleware, which runs
each request in a task group of its own: with FastAPI's routing half a millisecond, about what
hotserve takes to pass the request on. Here its function for `/invocations` is called at once, as
hotserve keeps the limit; everything else goes to its application. Run by the Python that has
MLflow; imports nothing of hotserve's.
"""

import asyncio
import contextvars
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fastapi import Request
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc import scoring_server as _scoring_server

scoring_server: Any = _scoring_server  # without annotations
_PATH = "/invocations"
_SMALL = 64 << 10
"""Bytes; what a larger request costs is not known beforehand."""
_QUICK = 0.01
"""Seconds."""
_ENOUGH = 20
"""Quick predictions after which the next one is called at once."""
_is_small = contextvars.ContextVar[bool]("_is_small")


def application() -> "Invocations":
    """The ASGI application, for the model that the environment names, as MLflow's own."""
    folder = os.environ[scoring_server._SERVER_MODEL_PATH]
    return Invocations(scoring_server.load_model_with_mlflow_config(folder))


class Invocations:
    """MLflow's application with a shorter way to its predictions."""

    def __init__(self, model: PyFuncModel) -> None:
        self._mlflow: Any = scoring_server.init(model)
        self._predict = next(each.endpoint for each in self._mlflow.routes if each.path == _PATH)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            asyncio.get_running_loop().set_default_executor(PredictionExecutor())
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", _PATH):
            await self._mlflow(scope, receive, send)
            return
        request = Request(scope, receive)
        _is_small.set(int(request.headers.get("content-length", _SMALL)) < _SMALL)
        answer = await self._predict(request)
        await answer(scope, receive, send)


class PredictionExecutor(ThreadPoolExecutor):
    """Calls MLflow's function for predictions in the loop's own thread while they are quick.

    MLflow calls it in another thread, so that a prediction that takes long or waits for something
    keeps nobody else from beginning. One that only computes gains nothing there, since Python runs
    one thread at a time: the way there and back takes a fifth of a millisecond, and several at once
    hinder each other.
    """

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="prediction")
        self._quick = 0
        """Calls that were quick; one that was not takes back several of them."""

    def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call it, at once or in another thread."""
        if not _is_small.get(False):
            return super().submit(call, *args, **kwargs)
        if self._quick < _ENOUGH:
            return super().submit(self._timed, call, *args, **kwargs)
        future = Future[Any]()
        loop = asyncio.get_running_loop()
        # As in another thread, a model may run a loop of its own.
        asyncio._set_running_loop(None)
        try:
            future.set_result(self._timed(call, *args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        finally:
            asyncio._set_running_loop(loop)
        return future

    def _timed(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        wall, computing = time.perf_counter(), time.thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            wall, computing = time.perf_counter() - wall, time.thread_time() - computing
            if wall < _QUICK and computing > wall / 2:
                self._quick = min(self._quick + 1, 2 * _ENOUGH)
            else:
                self._quick = max(self._quick - _ENOUGH // 2, 0)
