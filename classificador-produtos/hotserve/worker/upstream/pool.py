"""Connections to the models' server processes that are kept open from one request to the next."""

import asyncio
import contextlib
import time

from hotserve.ipc.messages import Target
from hotserve.worker.answer import Answer, Headers
from hotserve.worker.upstream.connection import Connection, ConnectionClosed

# Of one connection only (RFC 9110, 7.6.1), or made by the other side.
_OWN_TO_CONNECTION = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
_NOT_FORWARDED = _OWN_TO_CONNECTION | frozenset(
    b"host content-length content-type expect accept-encoding authorization cookie".split()
)
_NOT_RETURNED = _OWN_TO_CONNECTION | frozenset(b"content-length date server".split())

IDLE_SECONDS = 4.0
"""Below the 5 s after which uvicorn closes a connection, so that few are found closed."""


class NoAnswer(Exception):
    """The connection was closed, or nobody listens there (`refused`)."""

    def __init__(self, *, refused: bool) -> None:
        super().__init__()
        self.refused = refused


class ConnectionPool:
    """Connections to the server processes on the loopback.

    No request has a timer of its own, as most would be for nothing: one is for all of them.

    Args:
        timeout: seconds for one request.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._generation = 0
        self._idle: list[Connection] = []  # to the process of that generation
        self._deadlines: dict[Connection, float] = {}  # of those that wait for an answer
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Close every connection that is idle."""
        while self._idle:
            self._idle.pop().close()

    async def post(
        self,
        target: Target,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> Answer:
        """POST to `/invocations` of `target`.

        A prediction changes nothing, so a request that found its connection closed is sent again.

        Raises:
            NoAnswer: no process answers there.
            TimeoutError: it did not answer in time.
        """
        head = _head(target.port, content_type, len(body), headers)
        deadline = asyncio.get_running_loop().time() + self.timeout
        for _ in range(2):
            with contextlib.suppress(ConnectionClosed):
                connection = self._take(target) or await self._open(target)
                answer = await self._ask(connection, head, body, deadline)
                if target.generation == self._generation and answer.events is None:
                    self._idle.append(connection)
                elif answer.events is None:
                    connection.close()
                answer.headers = [pair for pair in answer.headers if pair[0] not in _NOT_RETURNED]
                return answer
        raise NoAnswer(refused=False)

    async def _open(self, target: Target) -> Connection:
        async with asyncio.timeout(self.timeout):
            try:
                return await Connection.open(target.port, self.timeout)
            except OSError:
                raise NoAnswer(refused=True) from None

    async def _ask(
        self, connection: Connection, head: bytes, body: bytes, deadline: float
    ) -> Answer:
        self._deadlines[connection] = deadline
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)
        try:
            return await connection.ask(head, body)
        finally:
            del self._deadlines[connection]

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for connection, deadline in self._deadlines.items():
            if deadline <= now:
                connection.expire()
        later = [deadline for deadline in self._deadlines.values() if deadline > now]
        if later:
            self._timer = loop.call_at(min(later), self._expire)

    def _take(self, target: Target) -> Connection | None:
        """The connection that was used last; those that were idle for too long are closed."""
        if target.generation != self._generation:
            self.close()
            self._generation = target.generation
        while self._idle:
            connection = self._idle.pop()
            if time.monotonic() - connection.idle_since < IDLE_SECONDS and connection.is_usable:
                return connection
            connection.close()
        return None


def _head(port: int, content_type: bytes, length: int, headers: Headers) -> bytes:
    lines = [
        b"POST /invocations HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % port,
        b"content-type: %b\r\ncontent-length: %d\r\n" % (content_type, length),
    ]
    lines += [b"%b: %b\r\n" % pair for pair in headers if pair[0] not in _NOT_FORWARDED]
    lines.append(b"\r\n")
    return b"".join(lines)
