"""Messages between the manager and a front worker: one JSON object a line over a socket pair."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, Self

_LINE_LIMIT = 1 << 22


class Channel:
    """One end of the pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Self:
        """Take over a connected socket."""
        return cls(*await asyncio.open_connection(sock=end, limit=_LINE_LIMIT))

    def send(self, kind: str, **fields: Any) -> None:
        """Queue a message; nothing happens if the other end is gone (its `messages` ended)."""
        if not self._writer.is_closing():
            with contextlib.suppress(ConnectionError):
                self._writer.write(json.dumps({"type": kind, **fields}).encode() + b"\n")

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the other end sends, until it is gone."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await self._reader.readline():
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def close(self) -> None:
        """Close this end; the other one notices."""
        self._writer.close()
