"""How much a worker has in hand at a time: requests, and the bytes of their bodies."""

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hotserve.worker.errors import RequestError

_LARGE = 1 << 20
BODIES = 4
"""Bodies of the largest size that a worker holds at a time."""
_SMALL = 64 << 10
"""Bytes of a body that needs no room in what all models share."""


@dataclass(slots=True)
class Room:
    """For the bytes of large bodies, of all models of a worker together.

    Attributes:
        free: what is left of it.
    """

    free: int


class Admission:
    """Admits requests and parts of bodies while there is room.

    An answer that the fast lane gives at once is not counted: nothing else happens meanwhile.

    Args:
        max_requests: how many may be under way.
        max_body: bytes of the largest body.
        room: where there are others, which share it; half of it is the most that one may take.
    """

    def __init__(self, max_requests: int, max_body: int, room: Room | None = None) -> None:
        self._max_requests = max_requests
        self._max_bytes = (BODIES // 2 if room else BODIES) * max_body
        self._room = room or Room(self._max_bytes)
        self._requests = 0
        self._bytes = 0
        self._was_large = False

    @contextlib.contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """The room of one request; what it gives is called with the bytes of each part that came.

        Raises:
            RequestError: 503, on entering or in that call, where there is no room.
        """
        if self._requests >= self._max_requests:
            raise _busy(f"{self._max_requests} requests are under way")
        held = 0

        def add(size: int) -> None:
            nonlocal held
            is_small = held + size <= _SMALL
            if self._bytes + size > self._max_bytes or (size > self._room.free and not is_small):
                raise _busy("other large requests are under way")
            self._bytes += size
            self._room.free -= size
            held += size

        self._requests += 1
        try:
            yield add
        finally:
            self._requests -= 1
            self._bytes -= held
            self._room.free += held
            self._was_large |= held > _LARGE

    def release_memory(self) -> None:
        """Give memory back after large bodies; glibc keeps what is freed in pieces."""
        if self._was_large and not self._bytes:
            self._was_large = False
            with contextlib.suppress(AttributeError):
                ctypes.CDLL(None).malloc_trim(0)


def _busy(reason: str) -> RequestError:
    return RequestError(503, f"{reason}; try again in a moment", (b"retry-after", b"1"))
