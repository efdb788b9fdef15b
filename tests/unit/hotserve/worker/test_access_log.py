"""The lines of the access log."""

import json
import os
from typing import Any

from hotserve.ipc.counts import FAST
from hotserve.worker.access_log import AccessLog


def line(**fields: Any) -> dict[str, Any]:
    out, into = os.pipe()
    AccessLog(into).write(**{"client": ("10.0.0.1", 5), "status": 200, "size": 3, **fields})
    os.close(into)
    with os.fdopen(out, "rb") as written:
        [text] = written.read().splitlines()
    found: dict[str, Any] = json.loads(text)
    assert found.pop("time").endswith("Z")
    return found


def test_a_request_is_a_line() -> None:
    assert line(
        method="GET",
        path="/ã\n\ud800",
        seconds=0.0123456,
        lane=FAST,
        version="7",
        client_name="ana",
    ) == {
        "client": "10.0.0.1",
        "client_name": "ana",
        "method": "GET",
        "path": "/ã\n?",
        "status": 200,
        "bytes": 3,
        "ms": 12.346,
        "lane": "fast",
        "version": "7",
    }


def test_what_is_not_known_is_null() -> None:
    assert line(client=None, status=400) == {
        "client": None,
        "client_name": None,
        "method": None,
        "path": None,
        "status": 400,
        "bytes": 3,
        "ms": None,
        "lane": None,
        "version": None,
    }


def test_a_long_path_is_cut() -> None:
    assert line(path="/" + "a" * 600)["path"] == "/" + "a" * 499


def test_a_log_that_nobody_reads_is_no_fault() -> None:
    out, into = os.pipe()
    os.close(out)
    AccessLog(into).write(client=None, status=200, size=0)
    os.close(into)
