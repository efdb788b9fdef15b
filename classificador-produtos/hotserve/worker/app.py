"""The ASGI application of a front worker: routes, limits, waiting, errors."""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from hotserve.ipc.counts import NONE, OTHER, PROCESS
from hotserve.worker import errors
from hotserve.worker.admission import Load, Share
from hotserve.worker.auth import Access
from hotserve.worker.counters import Tally
from hotserve.worker.errors import RequestError
from hotserve.worker.fast_lane import LARGE_CSV, FastLane
from hotserve.worker.serving import Serving
from hotserve.worker.static_files import PageFiles
from hotserve.worker.upstream.client import ProcessLane
from hotserve.worker.upstream.connection import Headers

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

_PREDICTIONS = "/invocations"
_JSON = b"application/json"
_OPEN = frozenset(("/ping", "/health", "/", "/docs", "/openapi.json"))
"""What needs no token, beside the files of the page: it tells nothing about the model."""
_CLIENT_GONE = 499
"""Not sent to anybody: how nginx counts a client that went away."""
_CODINGS = (b"content-encoding", b"transfer-encoding")


class _ClientGone(Exception):
    """The client went away in the middle of its request."""


class App:
    """An ASGI application, without a framework: every microsecond here is paid by each request."""

    def __init__(
        self,
        serving: Serving,
        process: ProcessLane,
        *,
        max_body: int,
        max_concurrency: int,
        access: Access | None,
        on_fault: Callable[[str], None],
        tally: Tally,
        metrics: Callable[[str], Awaitable[tuple[str, bytes]]],
    ) -> None:
        self._serving = serving
        self._process = process
        self._max_body = max_body
        self._load = Load(max_concurrency, max_body)
        self._access = access
        self._on_fault = on_fault
        self._tally = tally
        self._metrics_of_all = metrics
        self._page = PageFiles()
        self._routes: dict[str, tuple[tuple[str, ...], Handler]] = {
            "/ping": (("GET", "HEAD"), self._ping),
            "/health": (("GET", "HEAD"), self._ping),
            "/version": (("GET", "HEAD"), self._version),
            "/model": (("GET", "HEAD"), self._model),
            "/metrics": (("GET", "HEAD"), self._metrics),
            "/": (("GET", "HEAD"), self._page.send),
            "/docs": (("GET", "HEAD"), self._page.send),
            "/openapi.json": (("GET", "HEAD"), self._page.send),
        }

    @property
    def paths(self) -> list[str]:
        """Every path that there is, but for the files of the page."""
        return [_PREDICTIONS, *self._routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        begun = perf_counter()
        is_prediction = scope["path"] == _PREDICTIONS
        if is_prediction:
            self._tally.begun += 1
        try:
            if self._access is not None:
                self._admit(self._access, scope)
            if is_prediction:
                if scope["method"] != "POST":
                    raise _wrong_method(scope, ("POST",))
                await self._invocations(scope, receive, send, begun)
            else:
                await self._other(scope, receive, send)
            return
        except RequestError as told:
            # Its traceback holds this frame, which holds it: the body would stay in memory.
            error = told.with_traceback(None)
        except _ClientGone:
            error = None
        except Exception as fault:
            # A fault of ours. Its text may hold what was sent, so the log gets its place only.
            place = traceback.extract_tb(fault.__traceback__)[-1]
            where = f"{os.path.basename(place.filename)} line {place.lineno}"
            self._on_fault(f"{type(fault).__name__} in {where}, {scope['method']} {scope['path']}")
            error = RequestError(500, "a fault of hotserve; its log says where")
        except asyncio.CancelledError:
            error = RequestError(503, "hotserve is stopping", (b"retry-after", b"1"))
        status = error.status if error is not None else _CLIENT_GONE
        if is_prediction:
            target = error.target if error is not None else None
            lane, version = (PROCESS, target.version) if target is not None else (NONE, "")
            self._tally.request(status, lane, version, perf_counter() - begun)
        else:
            self._tally.other(self._name(scope), status)
        if error is not None:
            headers = [(b"content-type", _JSON), *error.headers]
            await _answer(send, error.status, headers, errors.body(error.status, error.message))

    def _admit(self, access: Access, scope: Scope) -> None:
        """Raise 401 for who shows no token, where one is needed."""
        path = scope["path"]
        if path in _OPEN or path.startswith("/page/"):
            return
        challenge = access.refusal(scope["headers"])
        if challenge is not None:
            raise RequestError(
                401,
                "this server answers to who has its token: send Authorization: Bearer <token>",
                (b"www-authenticate", challenge),
            )

    def tidy(self) -> None:
        """To be called now and then, when nothing is to be done."""
        self._load.tidy()

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whatever is no prediction."""

        async def counting(message: dict[str, Any]) -> None:
            if "status" in message:
                self._tally.other(self._name(scope), message["status"])
            await send(message)

        methods, handler = self._route(scope)
        if scope["method"] not in methods:
            raise _wrong_method(scope, methods)
        await handler(scope, receive, counting)

    def _name(self, scope: Scope) -> str:
        """A path as it is counted: those that are not ours are one."""
        return scope["path"] if scope["path"] in self._routes else OTHER

    def _route(self, scope: Scope) -> tuple[tuple[str, ...], Handler]:
        try:
            return self._routes[scope["path"]]
        except KeyError:
            if scope["path"] in self._page:
                return self._routes["/"]
            known = ", ".join(self.paths)
            raise RequestError(404, f"there is nothing at this path; there is {known}") from None

    async def _ping(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if self._serving.now().lane is None:
            try:
                self._process.target()
            except RequestError as error:
                # Why can name the model, the registry's address, or what MLflow said.
                if self._access is None or self._access.refusal(scope["headers"]) is None:
                    raise
                told = "nothing is served at the moment; /model says why to who has the token"
                raise RequestError(error.status, told, *error.headers) from None
        await _answer(send, 200, [(b"content-type", _JSON)], b"\n")

    async def _version(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        lane = self._serving.now().lane
        mlflow = lane.target.mlflow if lane is not None else self._process.target().mlflow
        await _answer(send, 200, [(b"content-type", _JSON)], mlflow.encode())

    async def _model(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        text = json.dumps(self._serving.now().model, ensure_ascii=False, indent=2)
        await _answer(send, 200, [(b"content-type", _JSON)], text.encode() + b"\n")

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        try:
            content_type, body = await self._metrics_of_all(accept)
        except TimeoutError:
            raise RequestError(
                503, "the manager gave no metrics in time", (b"retry-after", b"5")
            ) from None
        await _answer(send, 200, [(b"content-type", content_type.encode())], body)

    async def _invocations(self, scope: Scope, receive: Receive, send: Send, begun: float) -> None:
        headers: Headers = scope["headers"]
        content_type = b""
        declared = None
        for name, value in headers:
            if name == b"content-type":
                # Of several the first one counts, as in MLflow.
                content_type = content_type or value
            elif name == b"content-length":
                declared = int(value)
            elif name in _CODINGS and value.lower() not in (b"identity", b"chunked"):
                raise RequestError(
                    415, f"{name.decode()}: send the body as it is, without compression"
                )
        if not content_type:
            raise RequestError(415, "send a Content-Type: text/csv or application/json")
        if declared is not None and declared > self._max_body:
            raise self._too_large()
        message = await receive()
        # One version answers all of a request, so the lane is looked up once.
        lane = self._serving.now().lane
        if lane is not None and declared is not None and not message.get("more_body"):
            told = lane.answer_one(content_type, message.get("body", b""))
            if told is not None:
                lane.tally.latency.add(perf_counter() - begun)
                await _answer_fast(send, lane, told)
                return
        with Share(self._load) as share:
            body = await self._read(message, receive, share)
            lane = self._serving.now().lane
            if lane is not None:
                told = await self._ask(lane, content_type, body)
                if told is not None:
                    lane.tally.latency.add(perf_counter() - begun)
                    await _answer_fast(send, lane, told)
                    return
            target, answer = await self._process.answer(content_type, body, headers)
            self._tally.request(answer.status, PROCESS, target.version, perf_counter() - begun)
            await _answer(send, answer.status, answer.headers, answer.body)

    async def _ask(self, lane: FastLane, content_type: bytes, body: bytes) -> bytes | None:
        if len(body) <= LARGE_CSV:
            return await lane.answer(content_type, body)
        try:
            return await asyncio.wait_for(lane.answer(content_type, body), self._process.timeout)
        except TimeoutError:
            raise RequestError(504, "so large a body can't be answered in time") from None

    async def _read(self, message: dict[str, Any], receive: Receive, share: Share) -> bytes:
        parts, size = [], 0
        while True:
            if message["type"] == "http.disconnect":
                raise _ClientGone
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise self._too_large()
            share.add(len(part))
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts) if len(parts) > 1 else part
            message = await receive()

    def _too_large(self) -> RequestError:
        return RequestError(
            413, f"the body is larger than {self._max_body} bytes; send it in parts"
        )


def _wrong_method(scope: Scope, methods: tuple[str, ...]) -> RequestError:
    allowed = ", ".join(methods)
    message = f"{scope['path']} takes {allowed}, not {scope['method']}"
    return RequestError(405, message, (b"allow", allowed.encode()))


async def _answer_fast(send: Send, lane: FastLane, told: bytes) -> None:
    start = {"type": "http.response.start", "status": 200}
    await send({**start, "headers": lane.headers(len(told))})
    await send({"type": "http.response.body", "body": told})


async def _answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
