"""uvicorn's HTTP protocol with limits: what is sent, how slowly, on how many connections.

What uvicorn leaves unlimited is limited here: a head or a body that never ends, a client that does
not read its answer, requests sent ahead of the answers without end. Errors of the protocol are
JSON.

No request has a timer of its own: `check_timeouts` looks at all connections once a second.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sized
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hotserve.worker import errors
from hotserve.worker.answer import JSON, Answer, Headers
from hotserve.worker.http import limits
from hotserve.worker.shared import Shared

REFUSED = "hotserve.refused"
"""In the scope of a request that ended in its body: the status that its client got."""
WHOLE = "hotserve.whole"
"""In the scope of a request that is answered by a head and one body at once: they go together."""

_WAITING, _HEAD, _BODY, _WHOLE, _ENDED = range(5)
_HOP_BY_HOP = (b"connection", b"upgrade", b"http2-settings")


class _Stop(Exception):
    """Raised in a callback: nothing more is to be parsed."""


_TRAILERS = deque[tuple[bytes, bytes]](maxlen=0)
"""Drops what follows a chunked body: the parser calls a trailer a header (RFC 9110, 6.5.1)."""


class _Flow(FlowControl):
    """Reads nothing while requests that were sent ahead wait for their turn."""

    def __init__(self, transport: asyncio.Transport, ahead: Sized) -> None:
        super().__init__(transport)
        self._ahead = ahead

    def resume_reading(self) -> None:
        if not self._ahead:
            super().resume_reading()


class _AnswerTransport:
    """What uvicorn writes an answer to, head and body apart: two packets, and two wake-ups."""

    def __init__(self, transport: asyncio.Transport, scope: dict[str, Any]) -> None:
        self._transport = transport
        self._scope = scope
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._scope.pop(WHOLE, False):
            self._head = data
        elif self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        else:
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, shared: Shared, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._settings = shared.settings
        self._shared = shared
        self._state = _WAITING
        self._since: float | None = None  # when `check_timeouts` first saw it in this state
        self._begun_requests = 0
        self._received = 0  # bytes of this request, without its first packet if that held others
        self._body_progress = 0  # parts of the body, and sizes of parts
        self._overhead = 0  # bytes of packets that held neither, one after another
        self._is_refused = False  # nothing more is parsed
        self._is_upgrade = False
        self._refusal: tuple[int, str] | None = None  # what a callback of the parser found
        self._final_answer = b""  # to be sent after the answers to the requests before
        self._unsent = (0, 0.0)
        self._is_stopping = False
        self._fits = True  # no head that began in this packet can be too long

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Where there are too many, an idle one goes; if none is idle, this one."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        if len(self.connections) <= self._settings.max_connections:
            return
        for other in self.connections:
            if isinstance(other, HttpProtocol) and other._state == _WAITING and other != self:
                other.transport.close()
                self.connections.discard(other)
                return
        self._refuse(503, "too many connections are open")

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        if self._is_refused:
            return
        before, begun, progress = self._state, self._begun_requests, self._body_progress
        self._fits = before == _WAITING and len(data) <= limits.MAX_HEAD
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(*(self._refusal or (400, limits.wrong_request(data, error))))
        else:
            self._packet_read()
            if self._state in (_HEAD, _BODY):
                # Where the packet holds the end of a request before, how much is not known.
                is_alone = self._begun_requests == begun + (before == _WAITING)
                self._received = self._received + len(data) if is_alone else 0
                is_overhead = is_alone and before == _BODY and progress == self._body_progress
                self._overhead = self._overhead + len(data) if is_overhead else 0
                if self._state == _HEAD and self._received > limits.MAX_HEAD:
                    self._refuse(*limits.too_long(self.url))
                elif self._state == _BODY and self._overhead > limits.MAX_HEAD:
                    message = f"chunk extensions or trailers are beyond {limits.MAX_HEAD} bytes"
                    self._refuse(431, message)

    def _packet_read(self) -> None:
        """What came together has been parsed."""

    def _await_next(self) -> None:
        """A request was answered; the next one may come."""
        self.server_state.total_requests += 1
        self._state, self._since = _WAITING, None

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read a request that asks for another protocol as if it did not (RFC 9110, 7.8)."""
        self._is_upgrade = False
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(405, "CONNECT is for proxies, and this is none")
            return
        kept = [(name, value) for name, value in self.headers if name not in _HOP_BY_HOP]
        head = b"".join(b"%s: %s\r\n" % pair for pair in kept)
        version = self.parser.get_http_version().encode()
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/%s\r\n%s\r\n%s" % (method, self.url, version, head, rest))

    def on_message_begin(self) -> None:
        """The first byte of a request is here."""
        super().on_message_begin()
        self._begun_requests += 1
        self._received = self._body_progress = 0
        self._state, self._since = _HEAD, None

    def on_headers_complete(self) -> None:
        """A head is whole."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self._refusal = limits.wrong_head(method, self.url, self.headers, version)
        if self._refusal is None and len(self.pipeline) >= limits.MAX_AHEAD:
            message = f"more than {limits.MAX_AHEAD} requests were sent ahead of the answers"
            self._refusal = 503, message
        if self._refusal is not None:
            raise _Stop
        if self.parser.should_upgrade():
            self._is_upgrade = True
            return
        super().on_headers_complete()
        # The types of ASGI know no keys of a server's own.
        scope = cast(dict[str, Any], self.scope)
        self.cycle.transport = cast(asyncio.Transport, _AnswerTransport(self.transport, scope))
        if self._is_stopping:
            self.cycle.keep_alive = False
        self.headers = _TRAILERS  # type: ignore[assignment]
        self._state, self._since = _BODY, None

    def on_chunk_header(self) -> None:
        """The size of a part of the body is known."""
        self._body_progress += 1

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_progress += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._is_upgrade:
            return
        super().on_message_complete()
        self._state = _WAITING if self.cycle.response_complete else _WHOLE
        self._since = None

    def on_response_complete(self) -> None:
        """An answer is written: the next request's turn."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        # What is left of uvicorn's method, without its timer for each request.
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        if self._final_answer:
            self._end(self._final_answer)
        elif self._state == _WHOLE:
            self._state, self._since = _WAITING, None
        elif self._state == _BODY and self.expect_100_continue and not self._body_progress:
            # Whether the body still comes is the client's choice, and not to be known.
            self.transport.close()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Stay open for the answer to a whole request."""
        if self._state != _WHOLE:
            return None
        self.cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """The worker stops: the next answer is the last one, and a request may be on its way."""
        self._is_stopping = True
        if self._state == _ENDED:
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(limits.LAST_REQUEST, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self._state in (_WAITING, _HEAD):
            self.transport.close()

    def check_timeouts(self, now: float) -> None:
        """End the connection if its client is late; `now` is in monotonic seconds."""
        unsent, timeout = self.transport.get_write_buffer_size(), self._settings.read_timeout
        if unsent != self._unsent[0]:
            self._unsent = unsent, now
        elif unsent and now - self._unsent[1] > timeout:
            self.transport.abort()
            return
        if self._since is None or self.flow.read_paused:
            # While nothing is read, it is not the client that is late.
            self._since = now
            return
        late = now - self._since
        if self._state == _WAITING and late > self._settings.idle_timeout:
            self.transport.close()
        elif self._state == _ENDED and late > limits.LINGER:
            self.transport.abort()
        elif self._state == _HEAD and late > timeout:
            self._refuse(408, f"the headers took more than {timeout:g} s")
        elif self._state == _BODY and late > timeout + self._received / limits.SLOWEST:
            self._refuse(408, f"the body came too slowly: {late:.0f} s and not at its end")

    def _refuse(self, status: int, message: str) -> None:
        """Answer an error when those before have their answers, and end the connection."""
        body = errors.body(status, message)
        cycle = self.cycle
        in_body = self._state == _BODY and not self.pipeline
        headers = cast(Headers, cycle.scope["headers"]) if in_body else self.headers or []
        answer = self._error(status, body, headers)
        self._shared.counters.other("none", status)
        self._is_refused = True
        if in_body:
            # The types of ASGI know no keys of a server's own.
            cast(dict[str, Any], cycle.scope)[REFUSED] = status
            # Its application waits for the body, or has answered without it.
            cycle.disconnected = True
            cycle.message_event.set()
            self._end(b"" if cycle.response_started else answer)
            return
        if self._shared.access_log is not None:
            self._shared.access_log.write(self.client, headers, Answer(status, body=body))
        if self._state == _BODY:
            self.pipeline.popleft()
        if not self.pipeline and (cycle is None or cycle.response_complete):
            self._end(answer)
        else:
            self._final_answer = answer

    def _end(self, answer: bytes) -> None:
        self.flow.resume_reading()
        self._state, self._since = _ENDED, None
        if answer:
            self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _error(self, status: int, body: bytes, request_headers: Headers) -> bytes:
        headers = [
            *self.server_state.default_headers,
            *self._shared.cors.headers(request_headers),
            JSON,
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if status == 503:
            headers.append((b"retry-after", b"1"))
        lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
        return b"%s%s\r\n%s" % (STATUS_LINE[status], lines, body)


def check_timeouts(connections: Iterable[object], now: float) -> None:
    """End every connection whose client is late; to be called about once a second."""
    for connection in list(connections):
        if isinstance(connection, HttpProtocol):
            connection.check_timeouts(now)
