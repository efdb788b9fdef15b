"""Plain `mlflow models serve`, to compare answers with."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import free_port, running, without_mlflow


@contextmanager
def stock_server(uri: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Serve `uri` and give the server's address, once it is healthy."""
    port = free_port()
    # It runs `uvicorn` by name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", uri),
        *("-p", str(port), "-h", "127.0.0.1", "--env-manager", "local"),
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/ping", (environment or without_mlflow()) | {"PATH": path}):
        yield url
