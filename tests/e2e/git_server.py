"""A git server of one test's own: git's http backend behind a small HTTP server."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from tests.support.threads import Quiet, serving


@dataclass(frozen=True)
class GitServer:
    """A running server.

    Attributes:
        url: its address, without a slash at the end.
        root: the folder whose bare repositories it serves; `<root>/x.git` is `<url>/x.git`.
    """

    url: str
    root: Path


@contextmanager
def running_git_server(
    root: Path, credentials: str | None = None, address: str = "127.0.0.1"
) -> Iterator[GitServer]:
    """Serve the bare repositories in `root`, for reading.

    Args:
        root: made if missing.
        credentials: `user:password` that each request must carry; None lets everyone read.
        address: of this machine.
    """
    root.mkdir(parents=True, exist_ok=True)

    class Handler(Quiet):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _answer(self, body: bytes) -> None:
            if credentials and self.headers.get("Authorization") != _basic(credentials):
                self.send_response(HTTPStatus.UNAUTHORIZED)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            # CGI: https://git-scm.com/docs/git-http-backend, RFC 3875
            path, _, query = self.path.partition("?")
            environment = {
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH_INFO": unquote(path),
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "REMOTE_ADDR": "127.0.0.1",
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = [line.split(": ", 1) for line in head.decode().split("\r\n") if line]
            status = next((value for name, value in fields if name == "Status"), "200")
            self.send_response(int(status.split()[0]))
            for name, value in fields:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(ThreadingHTTPServer((address, 0), Handler)) as port:
        yield GitServer(f"http://{address}:{port}", root)


def _basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"
