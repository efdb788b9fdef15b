"""One line of JSON for each request, on standard output; only where it was asked for."""

import contextlib
import os
from collections.abc import Iterable
from datetime import UTC, datetime

from uvicorn.middleware.proxy_headers import _TrustedHosts

from hotserve.ipc.counts import NONE
from hotserve.worker.answer import Answer, Headers, encoded

_LONGEST_PATH = 500
_LONGEST_ADDRESS = 100


class AccessLog:
    """Writes the lines.

    They are short enough for the kernel to write each in one piece, so several workers can share
    a pipe.

    Args:
        fd: where to.
        proxies: networks of those whose X-Forwarded-For is believed.
    """

    def __init__(self, fd: int = 1, proxies: Iterable[str] = ()) -> None:
        self._fd = fd
        self._proxies = _TrustedHosts(list(proxies))

    def write(
        self,
        client: tuple[str, int] | None,
        headers: Headers,
        answer: Answer,
        client_name: str = "",
        method: str | None = None,
        path: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Log one request; `client` is who has the connection.

        Of one that could not be read to the end of its head there is no method and no path.
        """
        has_predicted = answer.lane != NONE
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "client": self._asked(client[0], headers) if client else None,
            "client_name": client_name or None,
            "method": method,
            "path": path[:_LONGEST_PATH] if path is not None else None,
            "status": answer.status,
            "bytes": answer.size if method != "HEAD" else 0,
            "ms": round(1000 * seconds, 3) if seconds is not None else None,
            "lane": answer.lane if has_predicted else None,
            "version": answer.version if has_predicted else None,
        }
        # Nobody reads any more, or the disk is full: requests are answered all the same.
        with contextlib.suppress(OSError):
            os.write(self._fd, encoded(line) + b"\n")

    def _asked(self, address: str, headers: Headers) -> str:
        """Who asked: each proxy adds whom it was asked by to the end of X-Forwarded-For."""
        if address in self._proxies:
            named = b",".join(value for name, value in headers if name == b"x-forwarded-for")
            asked, _ = self._proxies.get_trusted_client_address(named.decode("latin-1"))
            address = asked or address
        return address[:_LONGEST_ADDRESS]
