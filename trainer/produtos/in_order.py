"""Work that is done elsewhere, its results in the order of the work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    items: Iterable[Item], submit: Callable[[Item], Future[Result]], at_once: Callable[[], int]
) -> Iterator[tuple[Item, Result]]:
    """Have something done for each item, never more of them at a time than `at_once` says."""
    under_way: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        under_way.append((item, submit(item)))
        while len(under_way) >= at_once():
            oldest, future = under_way.popleft()
            yield oldest, future.result()
    for oldest, future in under_way:
        yield oldest, future.result()
