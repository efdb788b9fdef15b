"""One end of the socket pair between the manager and a front worker."""

import asyncio
import contextlib
import pickle
import socket
from collections.abc import AsyncIterator
from typing import Self

from hotserve.ipc.messages import Message

_LENGTH_BYTES = 8


class Channel:
    """Sends and receives messages: each pickled, behind its length.

    Both ends are hotserve's own code, and no other process has one.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Self:
        """Take over a connected socket."""
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, message: Message) -> None:
        """Queue a message; nothing happens if the other end is gone (its `messages` ended)."""
        if not self._writer.is_closing():
            with contextlib.suppress(ConnectionError):
                data = pickle.dumps(message)
                self._writer.write(len(data).to_bytes(_LENGTH_BYTES) + data)

    async def messages(self) -> AsyncIterator[Message]:
        """What the other end sends, until it is gone."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES))
                yield pickle.loads(await self._reader.readexactly(length))

    def close(self) -> None:
        """Close this end; the other one notices."""
        self._writer.close()
