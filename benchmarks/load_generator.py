"""wrk, as every server is driven by it: the same requests, connections and seconds."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRIPT = """\
wrk.method = "POST"
wrk.headers["Content-Type"] = "{content_type}"
local file = io.open("{bodies}", "rb")
local requests, turn, paths = {{}}, 0, {{{paths}}}
function init(args)
  for place = 1, file:read("*n") do
    local length = file:read("*n")
    file:read(1)
    local path = #paths > 0 and paths[(place - 1) % #paths + 1] or nil
    requests[place] = wrk.format(nil, path, nil, file:read(length))
  end
  file:close()
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write("\\nRESULT ", string.format(
    '{{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "failed": %d}}',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout), "\\n")
end
"""


@dataclass(frozen=True)
class Request:
    """What is asked, one body after the other and round again.

    Attributes:
        lines: products in each body.
        paths: which are asked in turn, a body each, in place of the address's own.
    """

    name: str
    content_type: str
    bodies: tuple[bytes, ...]
    lines: int = 1
    paths: tuple[str, ...] = ()

    def packed(self) -> bytes:
        """Their number, and each with its length in front: what the script above reads."""
        return b"%d\n" % len(self.bodies) + b"".join(
            b"%d\n%b" % (len(body), body) for body in self.bodies
        )


def need() -> str:
    """The place of wrk.

    Raises:
        SystemExit: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is not installed (on Debian: apt-get install wrk)")
    return found


def drive(
    url: str, request: Request, connections: int, seconds: float, headers: Sequence[str] = ()
) -> dict[str, Any]:
    """Ask for `seconds` on `connections` kept-open connections, with more headers if given.

    Returns:
        `requests_per_second`, `lines_per_second`, `p50_ms`, `p99_ms`, `failed` (anything but a
        2xx or 3xx in time).
    """
    with tempfile.TemporaryDirectory() as folder:
        bodies, script = Path(folder, "bodies"), Path(folder, "script.lua")
        bodies.write_bytes(request.packed())
        filled = _SCRIPT.format(
            content_type=request.content_type,
            bodies=bodies,
            paths=", ".join(json.dumps(path) for path in request.paths),
        )
        script.write_text(filled, "utf-8")
        done = subprocess.run(
            [
                *(need(), "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s"),
                *(word for header in headers for word in ("-H", header)),
                *("--timeout", "60s", "-s", str(script), url),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    told = json.loads(done.stdout.rpartition("RESULT ")[2])
    rate = told["requests"] / told["seconds"]
    return {
        "requests_per_second": round(rate, 2),
        "lines_per_second": round(rate * request.lines, 1),
        "p50_ms": told["p50_ms"],
        "p99_ms": told["p99_ms"],
        "failed": told["failed"],
        "requests": told["requests"],
    }
