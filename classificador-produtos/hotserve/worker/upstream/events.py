"""Server-sent events of a model's process, passed on as they come."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

CONTENT_TYPE = b"text/event-stream"
_MOST_BYTES = 256 << 10
"""Held for a client that is slow to read; then nothing more is read of the process."""
_DONE = b"data: [DONE]\n\n"

CLIENT_GONE = 499
"""Not sent to anybody: how nginx counts a client that went away."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class EventsEnded(Exception):
    """The connection to the process ended before the answer was whole."""


class Events:
    """The body of one answer.

    Attributes:
        timeout: seconds that the process may be silent.
        sent: bytes that were passed on.
        closing: what ends with it.
    """

    def __init__(self, transport: asyncio.Transport, timeout: float) -> None:
        self._transport = transport
        # It stops reading the transport at twice its limit.
        self._reader = asyncio.StreamReader(_MOST_BYTES // 2)
        self._reader.set_transport(transport)
        self._is_whole = False
        self.timeout = timeout
        self.sent = 0
        self.closing = contextlib.ExitStack()

    def feed(self, part: bytes) -> None:
        """A part came."""
        self._reader.feed_data(part)

    def end(self, *, is_whole: bool) -> None:
        """Nothing more will come."""
        self._is_whole |= is_whole
        self._reader.feed_eof()

    async def read(self) -> bytes:
        """What came since the last call, as soon as there is something; empty at the end.

        Raises:
            EventsEnded: the end came too early.
            TimeoutError: nothing came for `timeout` seconds.
        """
        async with asyncio.timeout(self.timeout):
            part = await self._reader.read(2 * _MOST_BYTES)
        if not part and not self._is_whole:
            raise EventsEnded
        return part

    def close(self) -> None:
        """Ask for nothing more of the process."""
        self._transport.abort()
        self.closing.close()


async def send_events(events: Events, start: dict[str, Any], receive: Receive, send: Send) -> int:
    """Pass an answer on until it ends or its client is gone, and close it.

    What goes wrong on the way is its last event but one, as in MLflow's AgentServer.

    Args:
        start: status and headers.

    Returns:
        The status that it would have, if that had not been sent long ago.
    """
    passing = asyncio.create_task(_pass_on(events, start, send))
    gone = asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait((passing, gone), return_when=asyncio.FIRST_COMPLETED)
        return passing.result() if passing.done() else CLIENT_GONE
    except asyncio.CancelledError:
        passing.cancel()
        await asyncio.wait((passing,))
        await _send_error(events, "hotserve is stopping", send)
        return 503
    finally:
        passing.cancel()
        gone.cancel()
        events.close()


async def _pass_on(events: Events, start: dict[str, Any], send: Send) -> int:
    await send(start)
    try:
        while part := await events.read():
            events.sent += len(part)
            await send(_body(part, more=True))
    except TimeoutError:
        await _send_error(events, f"the model gave nothing more for {events.timeout:g} s", send)
        return 504
    except EventsEnded:
        await _send_error(events, "the model's process ended while it answered", send)
        return 503
    await send(_body(b""))
    return 200


async def _send_error(events: Events, message: str, send: Send) -> None:
    # What came of an event that was cut off ends with an empty line.
    last = b"\n\ndata: %b\n\n%b" % (json.dumps({"error": message}).encode(), _DONE)
    events.sent += len(last)
    await send(_body(last))


def _body(part: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": part, "more_body": more}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
