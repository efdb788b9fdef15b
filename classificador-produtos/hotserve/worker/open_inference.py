"""The Open Inference Protocol (V2, REST): the lane and the process of `/invocations` answer it."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hotserve import __version__
from hotserve.inputs import open_inference as v2
from hotserve.worker.answer import JSON, Answer, encoded
from hotserve.worker.errors import RequestError
from hotserve.worker.routing import Handler, Receive, Route, Scope
from hotserve.worker.serving import Serving

PREFIX = "/v2"
_MODEL_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(/ready|/infer)?/?")
_JSON_LENGTH = b"inference-header-content-length"

Ask = Callable[[Scope, Receive, Callable[[bytes], bytes]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class OpenInference:
    """The protocol's paths of one model.

    Args:
        serving: says which version is served.
        ping: raises RequestError while nothing can answer.
        ask: predicts what a function makes of a request's body, as JSON of `/invocations`.
    """

    serving: Serving
    ping: Handler
    ask: Ask

    def routes(self) -> dict[str, Route]:
        """By the pattern that `find` finds in a path."""
        routes = []
        for path in (f"{PREFIX}/models/{{name}}", f"{PREFIX}/models/{{name}}/versions/{{version}}"):
            infer = Route(f"{path}/infer", self._infer, methods=("POST",), predicts=True)
            routes += [Route(path, self._model), Route(f"{path}/ready", self._model_ready), infer]
        return {route.path: route for route in routes}

    async def _model(self, scope: Scope, _receive: Receive) -> Answer:
        model, _ = self._required(scope)
        signature = model.get("signature") or {}
        texts = [{"name": name} for name in model.get("columns") or [""]]
        return _json(
            name=model["name"],
            versions=[model["version"]] if model.get("version") else [],
            platform="mlflow",
            inputs=v2.tensors(signature.get("inputs") or texts, v2.UNNAMED_INPUT),
            outputs=v2.tensors(signature.get("outputs"), v2.UNNAMED_OUTPUT),
        )

    async def _model_ready(self, scope: Scope, receive: Receive) -> Answer:
        model, _ = self._required(scope)
        await self.ping(scope, receive)
        return _json(name=model["name"], ready=True)

    async def _infer(self, scope: Scope, receive: Receive) -> Answer:
        model, version = self._required(scope)
        signature = model.get("signature") or {}
        request: dict[str, Any] = {}

        def to_mlflow(body: bytes) -> bytes:
            request.update(v2.read(body, _json_length(scope)))
            return v2.to_mlflow(request, signature, model.get("columns") or ())

        try:
            answer = await self.ask(scope, receive, to_mlflow)
            if answer.status >= 400:
                return in_form(answer)
            if version not in (None, answer.version):
                raise RequestError(404, f"version {version} is not served any more")
            outputs = v2.chosen(_tensors(answer, signature), request.get("outputs"))
        except v2.TensorError as error:
            raise RequestError(400, str(error)) from None
        told = {"model_name": model["name"], "model_version": answer.version}
        told |= {"id": request["id"]} if "id" in request else {}
        answer.body = _json(**told, outputs=outputs).body
        return answer

    def _required(self, scope: Scope) -> tuple[dict[str, Any], str | None]:
        """The model that is served, if it is the one that a path names, and the version in it."""
        found = _MODEL_PATH.fullmatch(scope["path"])
        assert found is not None
        name, version, model = found[1], found[2], self.serving.now().change.model
        if name != model.get("name"):
            raise RequestError(404, f"there is no model {name}; {model.get('name')} is served")
        if version not in (None, model.get("version")):
            served = model.get("version") or "none"
            raise RequestError(404, f"version {version} is not served; {served} is")
        return model, version


def server_routes(ping: Handler) -> list[Route]:
    """The protocol's paths of the server; `ping` raises RequestError while nothing can answer."""

    def saying(first: Handler | None = None, **fields: Any) -> Handler:
        async def handler(scope: Scope, receive: Receive) -> Answer:
            if first is not None:
                await first(scope, receive)
            return _json(**fields)

        return handler

    return [
        Route(PREFIX, saying(name="hotserve", version=__version__, extensions=[])),
        Route(f"{PREFIX}/health/live", saying(live=True), public=True),
        Route(f"{PREFIX}/health/ready", saying(ping, ready=True), public=True),
    ]


def find(path: str) -> tuple[str, str] | None:
    """The model's name in a path, and the key of its route in `OpenInference.routes`."""
    found = _MODEL_PATH.fullmatch(path)
    if found is None:
        return None
    version = "/versions/{version}" if found[2] else ""
    return found[1], f"{PREFIX}/models/{{name}}{version}{found[3] or ''}"


def in_form(error: Answer) -> Answer:
    """An error answer in the protocol's form: its message only."""
    message = json.loads(error.body).get("message", "") if error.body else ""
    error.body = _json(error=message).body
    return error


def _tensors(answer: Answer, signature: Mapping[str, Any]) -> list[v2.Tensor]:
    try:
        return v2.to_tensors(answer.body, signature.get("outputs"))
    except v2.TensorError as error:
        raise RequestError(500, str(error), lane=answer.lane, version=answer.version) from None


def _json_length(scope: Scope) -> int | None:
    length = dict(scope["headers"]).get(_JSON_LENGTH)
    if length is None:
        return None
    if not length.isdigit():
        raise v2.TensorError("Inference-Header-Content-Length must be a number of bytes")
    return int(length)


def _json(**fields: Any) -> Answer:
    return Answer(200, [JSON], encoded(fields))
