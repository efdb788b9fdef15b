"""HTTP written by hand over a socket, for requests that no client library would send."""

import contextlib
import json
import select
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.hotserve_process import PATIENCE


@dataclass(frozen=True)
class Answer:
    """One answer: its status, its headers by lower-case name, its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON and say so."""
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)


class RawConnection:
    """A connection to the server at `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), PATIENCE)
        self._buffer = b""

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> "RawConnection":
        """Send it all; fails if the server has closed."""
        self._socket.sendall(data)
        return self

    def send_what_goes(self, data: bytes) -> "RawConnection":
        """Send until all is sent or the server takes no more."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)
        return self

    def end(self) -> "RawConnection":
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)
        return self

    def answer(self) -> Answer:
        """The next answer."""
        while b"\r\n\r\n" not in self._buffer:
            assert self._more(), f"no answer, only {self._buffer!r}"
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            assert self._more(), f"half an answer: {self._buffer!r}"
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(int(first.split()[1]), headers, body)

    def is_answered(self) -> bool:
        """Whether something has come already."""
        return bool(self._buffer or select.select([self._socket], [], [], 0)[0])

    def is_closed(self) -> bool:
        """Wait for the server to close; whether nothing came before that."""
        return not self._buffer and not self._more()

    def _more(self) -> bool:
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        return bool(data)


def post(body: bytes, *headers: str, path: str = "/invocations") -> bytes:
    """A request of text/csv."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: text/csv", *headers]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
