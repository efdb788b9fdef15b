"""How much a client may send, how slowly, and on how many connections."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take.

    Attributes:
        read_timeout: seconds for a request's head, and for its body above what `SLOWEST` gives.
        idle_timeout: seconds between two requests.
        connections: open connections of this worker.
    """

    read_timeout: float
    idle_timeout: float
    connections: int
