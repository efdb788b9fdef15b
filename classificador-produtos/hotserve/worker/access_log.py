"""One line of JSON for each request, on standard output; only where it was asked for."""

import contextlib
import json
import os
from datetime import UTC, datetime

from hotserve.ipc.counts import NONE

_LONGEST_PATH = 500


class AccessLog:
    """Writes the lines.

    They are short enough for the kernel to write each in one piece, so several workers can share
    a pipe.

    Args:
        fd: where to.
    """

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd

    def write(
        self,
        *,
        client: tuple[str, int] | None,
        client_name: str = "",
        status: int,
        size: int,
        method: str | None = None,
        path: str | None = None,
        seconds: float | None = None,
        lane: str = NONE,
        version: str = "",
    ) -> None:
        """Log one request; `size` is of the answer's body, in bytes.

        Of one that could not be read to the end of its head there is no method and no path.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "client": client[0] if client else None,
            "client_name": client_name or None,
            "method": method,
            "path": path[:_LONGEST_PATH] if path is not None else None,
            "status": status,
            "bytes": size,
            "ms": round(1000 * seconds, 3) if seconds is not None else None,
            "lane": lane if lane != NONE else None,
            "version": version if lane != NONE else None,
        }
        # Nobody reads any more, or the disk is full: requests are answered all the same.
        with contextlib.suppress(OSError):
            text = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace")
            os.write(self._fd, text + b"\n")
