"""What goes on in threads of their own while a test does something else."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer


@contextmanager
def working(over: threading.Event, work: Iterable[Callable[[], object]]) -> Iterator[None]:
    """All this is done at a time until the end of the block, when `over` is set."""
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


class Quiet(BaseHTTPRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def serving(server: BaseServer) -> Iterator[int]:
    """A server answers until the end of the block; its port."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield int(server.server_address[1])  # type: ignore[index]
        finally:
            server.shutdown()
            thread.join()
