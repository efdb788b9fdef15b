"""The ASGI application of a front worker: it answers, counts and logs each request."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from hotserve.ipc.counts import FAST, OTHER
from hotserve.worker import open_inference
from hotserve.worker.admission import Admission
from hotserve.worker.answer import JSON, Answer, Headers
from hotserve.worker.errors import RequestError
from hotserve.worker.fast_lane import LARGE_CSV, LONGEST_TEXT
from hotserve.worker.http_protocol import REFUSED
from hotserve.worker.routing import PREDICTIONS, Receive, Route, Scope
from hotserve.worker.shared import Shared
from hotserve.worker.static_files import StaticFiles
from hotserve.worker.upstream.client import UpstreamClient

_CLIENT_GONE = 499
"""Not sent to anybody: how nginx counts a client that went away."""
_CODINGS = (b"content-encoding", b"transfer-encoding")
_WITHOUT_LENGTH = (204, 304)
_CLIENT_NAME = "hotserve.client"  # in the scope of a request with a token
_FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")


class _ClientGone(Exception):
    """The client went away in the middle of its request."""


class App:
    """An ASGI application without a framework, which would cost more than most answers.

    Args:
        metrics: content type and body of `/metrics`, for the value of `Accept`.
    """

    def __init__(
        self,
        shared: Shared,
        upstream: UpstreamClient,
        admission: Admission,
        metrics: Callable[[str], Awaitable[tuple[str, bytes]]],
    ) -> None:
        self._shared = shared
        self._upstream = upstream
        self._admission = admission
        self._metrics_of_all = metrics
        files = StaticFiles()
        v2 = open_inference.OpenInference(shared, self._ping, self._predict_json)
        routes = [
            Route(PREDICTIONS, self._predict, methods=("POST",), predicts=True),
            Route("/ping", self._ping, public=True),
            Route("/health", self._ping, public=True),
            Route("/version", self._version),
            Route("/model", self._model),
            Route("/metrics", self._metrics),
            Route("/", files.answer, public=True),
            Route("/docs", files.answer, public=True),
            Route("/openapi.json", files.answer, public=True),
            *v2.routes(),
        ]
        self._of_a_model = v2.model_routes()
        self.paths = [route.path for route in routes] + [*self._of_a_model]
        file = Route(OTHER, files.answer, public=True)
        self._routes = dict.fromkeys(files.paths, file) | {route.path: route for route in routes}
        self._unknown = Route(OTHER, self._not_found, methods=())

    async def __call__(
        self, scope: Scope, receive: Receive, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        begun = perf_counter()
        shared = self._shared
        path = scope["path"]
        route = self._route(path)
        shared.counters.begun += route.predicts
        answer = await self._answer(route, scope, receive)
        client_name = scope.get(_CLIENT_NAME, "")
        if route.predicts:
            seconds = perf_counter() - begun
            shared.counters.request(
                answer.status, answer.lane, answer.version, seconds, client_name
            )
        else:
            shared.counters.other(route.path, answer.status)
        is_sent = answer.status != _CLIENT_GONE
        try:
            if is_sent:
                headers = [*answer.headers, *shared.cors.headers(scope["headers"])]
                if answer.status not in _WITHOUT_LENGTH:
                    headers.append((b"content-length", b"%d" % len(answer.body)))
                start = {"type": "http.response.start", "status": answer.status}
                await send({**start, "headers": headers})
                await send({"type": "http.response.body", "body": answer.body})
        finally:
            if shared.access_log is not None:
                shared.access_log.write(
                    client=scope["client"],
                    client_name=client_name,
                    method=scope["method"],
                    # Without what stands behind a ?, which may hold a secret.
                    path=path,
                    status=answer.status if is_sent else scope.get(REFUSED, _CLIENT_GONE),
                    size=0 if scope["method"] == "HEAD" else len(answer.body),
                    seconds=perf_counter() - begun,
                    lane=answer.lane,
                    version=answer.version,
                )

    def _route(self, path: str) -> Route:
        if of_a_model := open_inference.pattern(path):
            return self._of_a_model[of_a_model]
        return self._routes.get(path) or self._routes.get(path.removesuffix("/")) or self._unknown

    async def _answer(self, route: Route, scope: Scope, receive: Receive) -> Answer:
        try:
            if preflight := self._shared.cors.preflight(scope["method"], scope["headers"]):
                return preflight
            if not route.public:
                scope[_CLIENT_NAME] = self._shared.auth.require(scope["headers"])
            if route.methods and scope["method"] not in route.methods:
                allowed = ", ".join(route.methods)
                message = f"{route.path} takes {allowed}, not {scope['method']}"
                raise RequestError(405, message, (b"allow", allowed.encode()))
            return await route.handler(scope, receive)
        except RequestError as error:
            # Its traceback holds frames that hold it: the body would stay in memory.
            answer = error.with_traceback(None).answer
            is_v2 = scope["path"].startswith(open_inference.PREFIX)
            return open_inference.in_form(answer) if is_v2 else answer
        except _ClientGone:
            return Answer(_CLIENT_GONE)
        except asyncio.CancelledError:
            return RequestError(503, "hotserve is stopping", (b"retry-after", b"1")).answer
        except Exception as fault:
            self._shared.faults.log(fault, f"{scope['method']} {scope['path']}")
            return RequestError(500, "a fault of hotserve; its log says where").answer

    async def _not_found(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        known = ", ".join(self.paths)
        raise RequestError(404, f"there is nothing at this path; there is {known}")

    async def _ping(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        if self._shared.serving.now().lane is None:
            try:
                self._upstream.target()
            except RequestError as error:
                # The reason can name the model, the registry's address, or what MLflow said.
                if self._shared.auth.client(scope["headers"]) is not None:
                    raise
                message = "nothing is served at the moment; /model says why to who has the token"
                retry_after = error.answer.headers[1:]
                raise RequestError(error.answer.status, message, *retry_after) from None
        return Answer(200, [JSON], b"\n")

    async def _version(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        lane = self._shared.serving.now().lane
        target = lane.target if lane is not None else self._upstream.target()
        return Answer(200, [JSON], target.mlflow.encode())

    async def _model(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        text = json.dumps(self._shared.serving.now().model, ensure_ascii=False, indent=2)
        return Answer(200, [JSON], text.encode("utf-8", "replace") + b"\n")

    async def _metrics(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        try:
            content_type, body = await self._metrics_of_all(accept)
        except TimeoutError:
            raise RequestError(
                503, "the manager gave no metrics in time", (b"retry-after", b"5")
            ) from None
        return Answer(200, [(b"content-type", content_type.encode())], body)

    async def _predict(self, scope: Scope, receive: Receive) -> Answer:
        headers: Headers = scope["headers"]
        content_type = self._content_type(headers)
        body, more = await _part(receive)
        # What the lane answers at once takes no room: nothing else happens meanwhile.
        at_once = not more and len(body) <= LONGEST_TEXT
        if at_once and (answer := await self._ask_lane(content_type, body)):
            return answer
        with self._admission.request() as add:
            self._require_size(len(body))
            add(len(body))
            if more:
                body = await self._read(body, receive, add)
            answer = None if at_once else await self._ask_lane(content_type, body)
            return answer or await self._upstream.answer(content_type, body, headers)

    async def _predict_json(
        self, scope: Scope, receive: Receive, translate: Callable[[bytes], bytes]
    ) -> Answer:
        """The same for a body that `translate` makes JSON of `/invocations`."""
        headers: Headers = scope["headers"]
        self._require_plain(headers)
        with self._admission.request() as add:
            body = await self._read(b"", receive, add)
            # A large one takes many small steps, between which other requests go on.
            is_large = len(body) > LARGE_CSV
            body = await asyncio.to_thread(translate, body) if is_large else translate(body)
            answer = await self._ask_lane(JSON[1], body)
            return answer or await self._upstream.answer(JSON[1], body, headers)

    def _require_plain(self, headers: Headers) -> None:
        for name, value in headers:
            if name == b"content-length":
                self._require_size(int(value))
            elif name in _CODINGS and value.lower() not in (b"identity", b"chunked"):
                raise RequestError(
                    415, f"{name.decode()}: send the body as it is, without compression"
                )

    def _content_type(self, headers: Headers) -> bytes:
        """Of several the first one, as in MLflow."""
        self._require_plain(headers)
        content_type = next((value for name, value in headers if name == b"content-type"), b"")
        if not content_type:
            raise RequestError(415, "send a Content-Type: text/csv or application/json")
        if content_type.split(b";")[0].strip().lower() in _FORMS:
            raise RequestError(
                415,
                "a form is not read; send the file itself, with its type: "
                "curl -H 'Content-Type: text/csv' --data-binary @products.csv",
            )
        return content_type

    async def _ask_lane(self, content_type: bytes, body: bytes) -> Answer | None:
        # One version answers all of a request, so the lane is looked up once.
        lane = self._shared.serving.now().lane
        if lane is None:
            return None
        try:
            limit = self._upstream.batcher.timeout if len(body) > LARGE_CSV else None
            async with asyncio.timeout(limit):
                predictions = await lane.answer(content_type, body)
        except TimeoutError:
            raise RequestError(504, "so large a body can't be answered in time") from None
        except Exception as fault:
            # The model's process can still answer.
            self._shared.faults.log(fault, "the fast lane")
            return None
        if predictions is None:
            return None
        return Answer(200, lane.headers, predictions, FAST, lane.target.version)

    async def _read(self, first: bytes, receive: Receive, add: Callable[[int], None]) -> bytes:
        parts, size, more = [first], len(first), True
        while more:
            part, more = await _part(receive)
            size += len(part)
            self._require_size(size)
            add(len(part))
            parts.append(part)
        return b"".join(parts)

    def _require_size(self, size: int) -> None:
        largest = self._shared.settings.max_body
        if size > largest:
            raise RequestError(413, f"the body is larger than {largest} bytes; send it in parts")


async def _part(receive: Receive) -> tuple[bytes, bool]:
    """The next part of a body, and whether there are more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _ClientGone
    return message.get("body", b""), message.get("more_body", False)
