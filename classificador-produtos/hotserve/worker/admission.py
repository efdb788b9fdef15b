"""How much a worker has in hand at a time: requests, and the bytes of their bodies."""

from __future__ import annotations

import contextlib
import ctypes
import gc

from hotserve.worker.errors import RequestError

_LARGE = 1 << 20
BODIES = 4
"""Bodies of the largest size that a worker holds at a time."""


class Load:
    """What is in hand now.

    An answer that the fast lane gives at once is not counted: nothing else happens meanwhile.

    Args:
        requests: how many may be under way.
        body: bytes of the largest body.
    """

    def __init__(self, requests: int, body: int) -> None:
        self.most_requests = requests
        self.most_bytes = BODIES * body
        self.requests = 0
        self.bytes = 0
        self.was_large = False

    def tidy(self) -> None:
        """Give memory back after large bodies; the C library keeps what is freed in pieces."""
        if self.was_large and not self.bytes:
            self.was_large = False
            # An HTTP client's request and answer hold each other, and with them the body.
            gc.collect()
            _trim()


def _trim() -> None:
    # Only glibc has it, and only glibc needs it.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Share:
    """One request's share of the load.

    Raises:
        RequestError: 503, on entering or in `add`, where there is no room.
    """

    __slots__ = ("_bytes", "_load")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._bytes = 0

    def __enter__(self) -> Share:
        load = self._load
        if load.requests >= load.most_requests:
            raise _busy(f"{load.most_requests} requests are under way")
        load.requests += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._load.requests -= 1
        if self._bytes > _LARGE:
            self._load.was_large = True
        self._load.bytes -= self._bytes

    def add(self, size: int) -> None:
        """Bytes of the body that have come."""
        if self._load.bytes + size > self._load.most_bytes:
            raise _busy("other large requests are under way")
        self._load.bytes += size
        self._bytes += size


def _busy(why: str) -> RequestError:
    return RequestError(503, f"{why}; try again in a moment", (b"retry-after", b"1"))
