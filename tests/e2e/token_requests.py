"""Requests to a hotserve that wants a token, and what it logs of them."""

import json
from typing import Any

import requests

from tests.e2e.hotserve_process import PATIENCE, Hotserve

TOKEN = "abre-te-sesamo-0123456789"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
CSV = {"Content-Type": "text/csv"}


def asked(
    hotserve: Hotserve, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> requests.Response:
    return requests.request(
        method, hotserve.url + path, data=body, headers=headers, timeout=PATIENCE
    )


def logged(hotserve: Hotserve) -> list[dict[str, Any]]:
    """The lines of the access log so far."""
    assert hotserve.stdout is not None
    return [json.loads(line) for line in hotserve.stdout.read_text("utf-8").splitlines()]
