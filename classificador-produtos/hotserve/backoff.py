"""How long to wait before what failed is tried again."""

from collections.abc import Iterator


def delays(first: float, longest: float) -> Iterator[float]:
    """Seconds to wait after each failure: doubling, up to `longest`, without end."""
    delay = first
    while True:
        yield delay
        delay = min(max(2 * delay, 1.0), longest)
