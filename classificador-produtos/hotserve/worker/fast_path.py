"""Answers from the fast lane inside the HTTP parser's callbacks: no task, no ASGI messages.

Those cost more than the answer itself. Only a request that came whole in one packet, and that the
lane can answer, is answered here; every other one takes the way through the application, from its
first byte on.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from hotserve.ipc.counts import FAST
from hotserve.worker.access_log import RequestLog
from hotserve.worker.auth import Access
from hotserve.worker.counters import Tally
from hotserve.worker.fast_lane import FastLane
from hotserve.worker.http_limits import Limits
from hotserve.worker.http_protocol import LimitedProtocol, Refused
from hotserve.worker.serving import Serving

LONGEST_BODY = 16 << 10
"""Bytes; a longer body is likely to come in several packets."""

_OK = b"HTTP/1.1 200 OK\r\n"
_NOT_DIRECT = frozenset((b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"))


class DirectProtocol(LimitedProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        on_refusal: Refused,
        serving: Serving,
        tally: Tally,
        access: Access | None,
        request_log: RequestLog | None,
    ) -> None:
        super().__init__(
            config, server_state, app_state, _loop, limits=limits, on_refusal=on_refusal
        )
        self._serving = serving
        self._tally = tally
        self._access = access
        self._request_log = request_log
        self._begun = 0.0
        self._content_type: bytes | None = None  # of a request that may be answered here
        self._sent = b""
        self._headers_known: list[tuple[bytes, bytes]] = []
        self._head_known = b""

    def on_headers_complete(self) -> None:
        """A head is whole."""
        if self._serving.now().lane is not None and self._may_be_direct():
            self._sent, self._begun = b"", perf_counter()
        else:
            super().on_headers_complete()

    def _may_be_direct(self) -> bool:
        """Whether the head lets the lane answer; then `_content_type` is set."""
        parser = self.parser
        if (
            self.url != b"/invocations"
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or len(self.headers) > 50
            or not (self.cycle is None or self.cycle.response_complete)
            or self.flow.write_paused
            or self.transport.is_closing()
        ):
            return False
        content_type = length = None
        for name, value in self.headers:
            if name == b"content-type" and content_type is None:
                content_type = value
            elif name == b"content-length":
                length = value
            elif name in _NOT_DIRECT:
                return False
        if content_type is None or length is None or int(length) > LONGEST_BODY:
            return False
        if self._access is not None and self._access.refusal(self.headers) is not None:
            return False
        self._content_type = content_type
        return True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._content_type is None:
            super().on_body(body)
        else:
            self._sent = self._sent + body if self._sent else body

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._content_type is None:
            super().on_message_complete()
            return
        lane = self._serving.now().lane
        told = None
        if lane is not None:
            # A fault here is met again, and told, on the long way.
            with contextlib.suppress(Exception):
                told = lane.answer_now(self._content_type, self._sent)
        if lane is None or told is None:
            self._go_the_long_way()
            super().on_message_complete()
            return
        self._content_type = None
        self._tally.begun += 1
        lane.tally.latency.add(perf_counter() - self._begun)
        self._await_next()
        self.transport.write(b"%b%b%b%b" % (_OK, self._default(), lane.head(len(told)), told))
        if self._request_log is not None:
            self._log(self._request_log, lane, len(told))

    def _log(self, request_log: RequestLog, lane: FastLane, size: int) -> None:
        request_log.write(
            client=self.client,
            method="POST",
            path="/invocations",
            status=200,
            size=size,
            seconds=perf_counter() - self._begun,
            lane=FAST,
            version=lane.target.version,
        )

    def _packet_read(self) -> None:
        if self._content_type is not None:
            self._go_the_long_way()

    def _go_the_long_way(self) -> None:
        self._content_type = None
        super().on_headers_complete()
        if self._sent:
            super().on_body(self._sent)

    def _default(self) -> bytes:
        """uvicorn's own headers: the date, a new list every second."""
        headers = self.server_state.default_headers
        if headers is not self._headers_known:
            self._headers_known = headers
            self._head_known = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return self._head_known
