"""The paths of one model: whether it answers, what it is, its predictions."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from time import time
from typing import Any

from hotserve.ipc.counts import FAST
from hotserve.worker.admission import Admission
from hotserve.worker.answer import JSON, Answer, Headers, encoded
from hotserve.worker.errors import RequestError
from hotserve.worker.explain import explain
from hotserve.worker.fast_lane import LARGE_CSV, LONGEST_TEXT
from hotserve.worker.open_inference import OpenInference
from hotserve.worker.routing import PREDICTIONS, ClientGone, Receive, Route, Scope
from hotserve.worker.upstream.client import UpstreamClient

_CODINGS = (b"content-encoding", b"transfer-encoding")
_FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")


class Model:
    """A model, and what answers requests for it. Nothing that is its own is another model's.

    Attributes:
        name: as it is registered.
        serving: its version.
        counters: its counts.
        admission: its limits.
        routes: by what follows the model's own prefix in a path.
        v2_routes: of the Open Inference Protocol, by their patterns.
    """

    def __init__(self, name: str, upstream: UpstreamClient, admission: Admission) -> None:
        self.name = name
        self.serving, self.counters = upstream.serving, upstream.counters
        self.admission = admission
        self._shared = upstream.shared
        self._upstream = upstream
        self.routes = {
            route.path: route
            for route in (
                Route(PREDICTIONS, self._predict, methods=("POST",), predicts=True),
                Route("/ping", self._ping, public=True),
                Route("/health", self._ping, public=True),
                Route("/version", self._version),
                Route("/model", self._model),
                Route("/explain", self._explain, methods=("POST",)),
            )
        }
        v2 = OpenInference(self.serving, self._ping, self._predict_json)
        self.v2_routes = v2.routes()

    @property
    def is_served(self) -> bool:
        """Whether there is anything to say of it."""
        now = self.serving.now().change
        return bool(now.model) and not now.is_gone

    @property
    def answers(self) -> bool:
        """Whether a request would be answered now."""
        now = self.serving.now()
        return bool(now.lane or now.change.target or now.change.asleep)

    async def _ping(self, scope: Scope, _receive: Receive) -> Answer:
        now = self.serving.now()
        if now.lane is None and not now.change.asleep:
            try:
                self._upstream.target()
            except RequestError as error:
                # The reason can name the model, the registry's address, or what MLflow said.
                if self._shared.auth.client(scope["headers"], self.name) is not None:
                    raise
                message = "nothing is served at the moment; /model says why to who has the token"
                retry_after = error.answer.headers[1:]
                raise RequestError(error.answer.status, message, *retry_after) from None
        return Answer(200, [JSON], b"\n")

    async def _version(self, _scope: Scope, _receive: Receive) -> Answer:
        lane = self.serving.now().lane
        target = lane.target if lane is not None else self._upstream.target()
        return Answer(200, [JSON], target.mlflow.encode())

    async def _model(self, _scope: Scope, _receive: Receive) -> Answer:
        model = _with_seconds(self.serving.now().change.model)
        return Answer(200, [JSON], encoded(model, indent=2) + b"\n")

    async def _predict(self, scope: Scope, receive: Receive) -> Answer:
        headers: Headers = scope["headers"]
        content_type = self._content_type(headers)
        body, more = await _part(receive)
        # What the lane answers at once takes no room: nothing else happens meanwhile.
        at_once = not more and len(body) <= LONGEST_TEXT
        if at_once and (answer := await self._ask_lane(content_type, body)):
            return answer
        with contextlib.ExitStack() as room:
            add = room.enter_context(self.admission.request())
            self._require_size(len(body))
            add(len(body))
            if more:
                body = await self._read(body, receive, add)
            answer = None if at_once else await self._ask_lane(content_type, body)
            answer = answer or await self._upstream.answer(content_type, body, headers)
            if answer.events is not None:
                answer.events.closing.push(room.pop_all())
            return answer

    async def _explain(self, scope: Scope, receive: Receive) -> Answer:
        self._require_plain(scope["headers"])
        with self.admission.request() as add:
            body = await self._read(b"", receive, add)
        now = self.serving.now()
        return explain(now.lane, now.compared, body)

    async def _predict_json(
        self, scope: Scope, receive: Receive, translate: Callable[[bytes], bytes]
    ) -> Answer:
        """The same for a body that `translate` makes JSON of `/invocations`."""
        headers: Headers = scope["headers"]
        self._require_plain(headers)
        with self.admission.request() as add:
            body = await self._read(b"", receive, add)
            # A large one takes many small steps, between which other requests go on.
            is_large = len(body) > LARGE_CSV
            body = await asyncio.to_thread(translate, body) if is_large else translate(body)
            answer = await self._ask_lane(JSON[1], body)
            answer = answer or await self._upstream.answer(JSON[1], body, headers)
            if answer.events is not None:
                answer.events.close()
                raise RequestError(500, "the model gives events, which this protocol has not")
            return answer

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
        kind, _, parameters = content_type.lower().partition(b";")
        # `curl -F` adds a boundary to the type that it was given.
        if kind.strip() in _FORMS or b"boundary=" in parameters:
            raise RequestError(
                415,
                "a form is not read; send the file itself, with its type: "
                "curl -H 'Content-Type: text/csv' --data-binary @products.csv",
            )
        return content_type

    async def _ask_lane(self, content_type: bytes, body: bytes) -> Answer | None:
        # One version answers all of a request, so the lane is looked up once.
        lane = self.serving.now().lane
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


def _with_seconds(model: dict[str, Any]) -> dict[str, Any]:
    """What `/model` shows, with how long the version that is on its way has been so."""
    wanted = model.get("wanted")
    if not wanted:
        return model
    seconds = time() - datetime.fromisoformat(wanted["since"]).timestamp()
    return {**model, "wanted": {**wanted, "seconds": max(0, round(seconds))}}


async def _part(receive: Receive) -> tuple[bytes, bool]:
    """The next part of a body, and whether there are more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)
