"""One end of the socket pair between the manager and a front worker."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Self

from hotserve.ipc.messages import Message, decode, encode

_LONGEST_LINE = 1 << 30
"""Bytes. `/metrics` of some hundred models is some megabytes, and both ends are hotserve's own."""


class Channel:
    """Sends and receives messages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Self:
        """Take over a connected socket."""
        return cls(*await asyncio.open_connection(sock=end, limit=_LONGEST_LINE))

    def send(self, message: Message) -> None:
        """Queue a message; nothing happens if the other end is gone (its `messages` ended)."""
        if not self._writer.is_closing():
            with contextlib.suppress(ConnectionError):
                self._writer.write(encode(message))

    async def messages(self) -> AsyncIterator[Message]:
        """What the other end sends, until it is gone."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await self._reader.readline():
                if line.endswith(b"\n"):
                    yield decode(line)

    def close(self) -> None:
        """Close this end; the other one notices."""
        self._writer.close()
