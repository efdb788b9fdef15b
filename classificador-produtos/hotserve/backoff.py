"""How long to wait before what failed is tried again."""

STEADY_SECONDS = 60.0
"""What went well for that long starts over with the shortest wait."""
_FIRST_STEP = 0.5


class Backoff:
    """Seconds to wait after each failure: `first`, then doubling, up to `longest`."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = self._next = first
        self._longest = longest

    def delay(self, lasted: float = 0.0) -> float:
        """Seconds to wait now, after something went well for `lasted` seconds and then failed."""
        if lasted >= STEADY_SECONDS:
            self._next = self._first
        delay = self._next
        self._next = min(max(2 * delay, _FIRST_STEP), self._longest)
        return delay
