"""What a client may send: how much, how slowly, on how many connections, and which heads."""

import httptools

from hotserve.worker.answer import Headers

MAX_HEAD = 32 << 10
"""Bytes of a request line and its headers."""
MAX_HEADERS = 100
MAX_URL = 8 << 10
MAX_AHEAD = 64
"""Requests that a client may send before the answer to the first; what follows is not read."""
SLOWEST = 64 << 10
"""Bytes a second: a body that comes as fast as this is waited for to its end."""
LAST_REQUEST = 1.0
"""Seconds that a connection without a request stays open while the worker stops."""
LINGER = 2.0
"""Seconds in which what is still sent is thrown away, so that the error reaches the client."""


def too_long(url: bytes) -> tuple[int, str]:
    """Status and message for a head that is too long."""
    if len(url) > MAX_URL:
        return 414, f"the address is longer than {MAX_URL} bytes"
    return 431, f"the headers are more than {MAX_HEADERS} or longer than {MAX_HEAD} bytes"


def wrong_head(method: bytes, url: bytes, headers: Headers, version: str) -> tuple[int, str] | None:
    """What is wrong with a whole head: status and message."""
    # Of the first line: two blanks, `HTTP/1.1` and its end; then the empty line.
    size = len(method) + len(url) + 14
    size += sum(len(name) + len(value) + 4 for name, value in headers)
    if size > MAX_HEAD or len(headers) > MAX_HEADERS or len(url) > MAX_URL:
        return too_long(url)
    if version not in ("1.0", "1.1"):
        return 400, f"this port speaks HTTP/1.1, not HTTP/{version}"
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (not hosts and version == "1.1"):
        return 400, f"a request has one Host header, not {hosts or 'none'}"
    return None


def wrong_request(data: bytes, error: httptools.HttpParserError) -> str:
    """What is wrong with bytes that the parser does not take."""
    if data[:2] == b"\x16\x03":
        return "this port speaks HTTP, not HTTPS"
    if data[:3] == b"PRI":
        return "this port speaks HTTP/1.1, not HTTP/2"
    if isinstance(error, httptools.HttpParserCallbackError):
        return "the address of the request can't be read"
    return f"this is no HTTP/1.1 request: {error}"
