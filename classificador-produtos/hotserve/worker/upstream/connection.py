"""A kept-open connection to a model's server process: one request and its answer at a time.

Only what that takes: no redirects, cookies, proxies or decompression. A general client costs a
front worker several times as much for each request.
"""

import asyncio
import time
from typing import Self, cast

import httptools

from hotserve.worker.answer import Answer
from hotserve.worker.upstream.events import CONTENT_TYPE, Events

_FIRST_FINAL = 200
"""A status below announces another answer to the same request (RFC 9110, 15.2)."""


class ConnectionClosed(Exception):
    """The connection ended, or what came was no HTTP, before the answer was whole."""


class Connection(asyncio.Protocol):
    """One connection.

    Attributes:
        idle_since: when its last answer was whole (monotonic seconds).
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport  # from `connection_made` on
        self._whole: asyncio.Future[Answer] | None = None
        self._answer = Answer()
        self._parts: list[bytes] = []
        self._keeps_open = True
        self._ends_with_connection = False
        self._events: Events | None = None
        self.idle_since = 0.0

    @classmethod
    async def open(cls, port: int, timeout: float) -> Self:
        """Connect on the loopback; `timeout` is for each of the parts of `Events`.

        Raises:
            OSError: nobody listens there.
        """
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(timeout), "127.0.0.1", port)
        return connection

    async def ask(self, head: bytes, body: bytes) -> Answer:
        """Send a request and wait for its answer, the whole one unless that is `events`.

        After those, or cancelled, or after an error, the connection is of no more use.

        Raises:
            ConnectionClosed: there will be no answer.
            TimeoutError: it was expired.
        """
        if not self.is_usable:
            raise ConnectionClosed
        self._whole = asyncio.get_running_loop().create_future()
        self._answer, self._parts = Answer(), []
        try:
            self._transport.writelines((head, body))
            answer = await self._whole
        except BaseException:
            self.close()
            raise
        finally:
            self._whole = None
        if answer.events is not None:
            return answer
        # Answered before it was read: the rest of this request is no beginning of another.
        if not self._keeps_open or self._transport.get_write_buffer_size():
            self.close()
        self.idle_since = time.monotonic()
        return answer

    def expire(self) -> None:
        """Wait no longer."""
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(TimeoutError())

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent."""
        return not self._transport.is_closing()

    def close(self) -> None:
        """Close at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The other side took it."""
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        if exc is None and self._ends_with_connection:
            self.on_message_complete()
        self._fail()
        if self._events is not None:
            self._events.end(is_whole=False)

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        if self._events is None and (self._whole is None or self._whole.done()):
            # Nothing was asked, so what comes now would be taken for the next answer.
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail()
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._answer.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._answer.status = self._parser.get_status_code()
        self._keeps_open = self._parser.should_keep_alive()
        self._ends_with_connection = self._answer.status >= _FIRST_FINAL and not any(
            name in (b"content-length", b"transfer-encoding") for name, _ in self._answer.headers
        )
        if self._answer.status == _FIRST_FINAL and self._whole is not None:
            kind = next((value for n, value in self._answer.headers if n == b"content-type"), b"")
            if kind.startswith(CONTENT_TYPE):
                self._events = self._answer.events = Events(self._transport, self._timeout)
                if not self._whole.done():
                    self._whole.set_result(self._answer)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if self._events is not None:
            self._events.feed(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """An answer is whole."""
        if self._events is not None:
            self._events.end(is_whole=True)
            return
        answer, parts = self._answer, self._parts
        self._answer, self._parts, self._ends_with_connection = Answer(), [], False
        if answer.status < _FIRST_FINAL:
            return
        if self._whole is None or self._whole.done():
            self.close()
            return
        answer.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._whole.set_result(answer)

    def _fail(self) -> None:
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(ConnectionClosed())
