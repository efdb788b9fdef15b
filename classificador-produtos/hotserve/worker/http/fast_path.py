"""Answers from the fast lane inside the HTTP parser's callbacks: no task, no ASGI messages.

Those cost more than the answer itself. Only a request that came whole in one packet, and that the
lane can answer, is answered here; every other one takes the way through the application, from its
first byte on.
"""

from time import perf_counter
from typing import Any
from urllib.parse import unquote

from hotserve.ipc.counts import FAST
from hotserve.worker.answer import TERMINALS, Answer
from hotserve.worker.fast_lane import FastLane
from hotserve.worker.http.protocol import HttpProtocol
from hotserve.worker.model_paths import Model
from hotserve.worker.models import Models

LONGEST_BODY = 16 << 10
"""Bytes; a longer body is likely to come in several packets."""

_OK = b"HTTP/1.1 200 OK\r\n"
_SLOW_HEADERS = frozenset((b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"))
"""A request with one of these goes to the application."""


class FastPathProtocol(HttpProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, models: Models, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._models = models.by_url
        self._model = models.root  # whose lane may answer, while `_content_type` is set
        self._slow_headers = _SLOW_HEADERS | ({b"origin"} if self._shared.cors.is_on else set())
        self._begun = 0.0
        self._content_type: bytes | None = None  # of a request that may be answered here
        self._client_name = ""
        self._body = b""
        self._default_headers: list[tuple[bytes, bytes]] = []
        self._default_head = b""

    def on_headers_complete(self) -> None:
        """A head is whole."""
        model = self._models.get(self.url)
        if model is not None and model.serving.now().lane and self._is_for_lane(model):
            self._body, self._begun = b"", perf_counter()
        else:
            super().on_headers_complete()

    def _is_for_lane(self, model: Model) -> bool:
        """Whether the head lets its lane answer; sets what is known of the request then."""
        parser = self.parser
        if (
            parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or not self._fits
            or self._is_stopping
            or len(self.headers) > 50
            or not (self.cycle is None or self.cycle.response_complete)
            or self.flow.write_paused
            or self.transport.is_closing()
        ):
            return False
        content_type = length = None
        hosts = 0
        for name, value in self.headers:
            if name == b"content-type" and content_type is None:
                content_type = value
            elif name == b"content-length":
                length = value
            elif name == b"host":
                hosts += 1
            elif name in self._slow_headers or (
                name == b"user-agent" and value.startswith(TERMINALS)
            ):
                return False
        if content_type is None or length is None or int(length) > LONGEST_BODY or hosts != 1:
            return False
        client = self._shared.auth.client(self.headers, model.name)
        if client is None:
            return False
        self._content_type, self._client_name, self._model = content_type, client.name, model
        return True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._content_type is None:
            super().on_body(body)
        else:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._content_type is None:
            super().on_message_complete()
            return
        model = self._model
        lane = model.serving.now().lane
        answer = self._ask(lane, self._content_type) if lane is not None else None
        if lane is None or answer is None:
            self._leave_fast_path()
            super().on_message_complete()
            return
        self._content_type = None
        shared, counters, version = self._shared, model.counters, lane.target.version
        counters.begun += 1
        seconds = perf_counter() - self._begun
        counters.request(200, FAST, version, seconds, self._client_name)
        self._await_next()
        self.transport.write(b"%b%b%b%b" % (_OK, self._default(), lane.head(len(answer)), answer))
        if shared.access_log is not None:
            told = Answer(200, lane.headers, answer, FAST, version)
            who = self.client, self.headers, told, self._client_name
            path = unquote(self.url.decode("ascii"))
            shared.access_log.write(*who, "POST", path, perf_counter() - self._begun)

    def _ask(self, lane: FastLane, content_type: bytes) -> bytes | None:
        try:
            return lane.answer_now(content_type, self._body)
        except Exception as fault:
            # Only a fault of the lane's comes here; the model's process can still answer.
            self._shared.faults.log(fault, "the fast lane")
            return None

    def _packet_read(self) -> None:
        if self._content_type is not None:
            self._leave_fast_path()

    def _leave_fast_path(self) -> None:
        """Give what came so far to the application."""
        self._content_type = None
        super().on_headers_complete()
        if self._body:
            super().on_body(self._body)

    def _default(self) -> bytes:
        """uvicorn's own headers: the date, a new list every second."""
        headers = self.server_state.default_headers
        if headers is not self._default_headers:
            self._default_headers = headers
            self._default_head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return self._default_head
