"""The lines of the access log."""

import json
import os
from typing import Any

import pytest

from hotserve.ipc.counts import FAST, NONE
from hotserve.worker.access_log import AccessLog
from hotserve.worker.answer import Answer


def line(
    *proxies: str, lane: str = NONE, version: str = "", status: int = 200, **fields: Any
) -> dict[str, Any]:
    out, into = os.pipe()
    answer = Answer(status, body=b"abc", lane=lane, version=version)
    request = {"client": ("10.0.0.1", 5), "headers": [], "answer": answer, **fields}
    AccessLog(into, proxies).write(**request)
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


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        ([], ["192.0.2.1"], "10.0.0.1"),
        (["10.0.0.2"], ["192.0.2.1"], "10.0.0.1"),
        (["10.0.0.0/8"], ["192.0.2.1"], "192.0.2.1"),
        # A client can write into its own header; the proxy puts the address behind it.
        (["10.0.0.0/8"], ["198.51.100.7", "made up, 192.0.2.1"], "192.0.2.1"),
        (["10.0.0.0/8"], ["192.0.2.1, 10.0.0.7"], "192.0.2.1"),
        (["10.0.0.0/8"], ["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        (["10.0.0.0/8"], ["2001:db8::1"], "2001:db8::1"),
        (["0.0.0.0/0", "::/0"], ["192.0.2.1, 2001:db8::1"], "192.0.2.1"),
        (["10.0.0.0/8"], ["192.0.2.1:5512, 10.0.0.7:80"], "192.0.2.1"),
        (["10.0.0.0/8"], ["[2001:db8::1]:443"], "2001:db8::1"),
        (["10.0.0.0/8"], [], "10.0.0.1"),
        (["10.0.0.0/8"], [" , "], "10.0.0.1"),
        (["10.0.0.0/8"], ["x" * 9_000], "x" * 100),
    ],
)
def test_behind_a_proxy_the_client_is_whom_it_names(
    proxies: list[str], forwarded: list[str], client: str
) -> None:
    headers = [(b"host", b"h"), *((b"x-forwarded-for", one.encode()) for one in forwarded)]
    assert line(*proxies, headers=headers)["client"] == client
    assert line(*proxies, client=None, headers=headers)["client"] is None


def test_a_log_that_nobody_reads_is_no_fault() -> None:
    out, into = os.pipe()
    os.close(out)
    AccessLog(into).write(None, [], Answer(200))
    os.close(into)
