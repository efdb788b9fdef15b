"""Plain `mlflow models serve`, to compare answers with."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import free_port, stop_tree, wait_until_healthy, without_mlflow


@contextmanager
def stock_server(uri: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Serve `uri` and give the server's address, once it is healthy."""
    port = free_port()
    # It runs `uvicorn` by name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve", "-m", uri),
            *("-p", str(port), "-h", "127.0.0.1", "--env-manager", "local"),
        ],
        env=(environment or without_mlflow()) | {"PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_healthy(f"{url}/ping", process)
        yield url
    finally:
        stop_tree(process)
