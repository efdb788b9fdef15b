"""One line of JSON for each request, on standard output; only where it was asked for."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from hotserve.worker.http_protocol import REFUSED

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

_LONGEST_PATH = 500
_CLIENT_GONE = 499


class RequestLog:
    """Writes the lines.

    They are short enough for the kernel to write each in one piece, so several workers can share
    a pipe.

    Args:
        fd: where to.
    """

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd

    def write(
        self,
        *,
        client: tuple[str, int] | None,
        status: int,
        size: int,
        method: str | None = None,
        path: str | None = None,
        seconds: float | None = None,
        lane: str | None = None,
        version: str | None = None,
    ) -> None:
        """Tell one request; `size` is of the answer's body, in bytes.

        Of one that could not be read to the end of its head there is no method and no path.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "client": client[0] if client else None,
            "method": method,
            "path": path[:_LONGEST_PATH] if path is not None else None,
            "status": status,
            "bytes": size,
            "ms": round(1000 * seconds, 3) if seconds is not None else None,
            "lane": lane,
            "version": version,
        }
        # Nobody reads any more, or the disk is full: requests are answered all the same.
        with contextlib.suppress(OSError):
            told = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace")
            os.write(self._fd, told + b"\n")


class AccessLog:
    """ASGI middleware.

    Args:
        app: what answers.
        log: who writes.
    """

    def __init__(self, app: Application, log: RequestLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Have the request answered, and tell how it went."""
        begun = perf_counter()
        start: Message = {}
        size = 0

        async def noting(message: Message) -> None:
            nonlocal start, size
            if message["type"] == "http.response.start":
                start = message
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            headers = dict(start.get("headers", ()))
            self._log.write(
                client=scope.get("client"),
                method=scope["method"],
                # Without what stands behind a ?, which is none of ours and may hold a secret.
                path=scope["path"],
                status=start.get("status", scope.get(REFUSED, _CLIENT_GONE)),
                size=0 if scope["method"] == "HEAD" else size,
                seconds=perf_counter() - begun,
                lane=_text(headers.get(b"x-hotserve-lane")),
                version=_text(headers.get(b"x-model-version")),
            )


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value is not None else None
