"""MLflow's scoring server, asked more directly: `uvicorn --factory invocations:application`.

MLflow keeps its time limit in a middleware made with Starlette's BaseHTTPMiddleware, which runs
each request in a task group of its own: with FastAPI's routing half a millisecond, about what
hotserve takes to pass the request on. Here its function for `/invocations` is called at once, as
hotserve keeps the limit; everything else goes to its application. Run by the Python that has
MLflow; imports nothing of hotserve's.
"""

import os
from typing import Any

from fastapi import Request
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc import scoring_server as _scoring_server

scoring_server: Any = _scoring_server  # without annotations
_PATH = "/invocations"


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
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", _PATH):
            await self._mlflow(scope, receive, send)
            return
        answer = await self._predict(Request(scope, receive))
        await answer(scope, receive, send)
