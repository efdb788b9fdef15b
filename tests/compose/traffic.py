"""Requests that go on while something else is done."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests


@dataclass
class Traffic:
    """What came of requests that were sent one after the other all the while."""

    good: int = 0
    bad: list[str] = field(default_factory=list)


@contextmanager
def traffic(classify: Callable[[], str]) -> Iterator[Traffic]:
    """Requests to the API for as long as the block lasts, about forty a second.

    Args:
        classify: sends one for a toy, and gives the category.
    """
    seen, stop = Traffic(), threading.Event()

    def send() -> None:
        while not stop.wait(0.02):
            try:
                answer = classify()
            except (requests.RequestException, AssertionError) as error:
                seen.bad.append(str(error))
            else:
                if answer == "brinquedo":
                    seen.good += 1
                else:
                    seen.bad.append(answer)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
