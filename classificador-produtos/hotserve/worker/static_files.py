"""What is static: the page at `/`, its files, and the description of the API.

Read once, with the headers that they are sent with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from hotserve.worker import openapi_page as api_docs

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    # Nothing may turn a text into markup, whatever it says.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class PageFiles:
    """The files by the path that they are asked for: `/`, `/page/…`, `/openapi.json`, `/docs`."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, dict[str, str]]] = {}
        package = resources.files("hotserve")
        description = package.joinpath("openapi.json").read_bytes()
        self._files["/openapi.json"] = description, _headers(description, "application/json")
        described = api_docs.page(json.loads(description)).encode()
        self._files["/docs"] = described, _headers(described, _TYPES["html"])
        for each in package.joinpath("page").iterdir():
            content_type = _TYPES.get(each.name.rpartition(".")[2])
            if content_type is not None:
                path = "/" if each.name == "index.html" else f"/page/{each.name}"
                content = each.read_bytes()
                self._files[path] = content, _headers(content, content_type)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    async def send(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],  # noqa: ARG002
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one ASGI request for a path that is in here; 304 if the browser has the file."""
        content, headers = self._files[scope["path"]]
        known = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1").split(",")
        status = 200
        if headers["etag"] in (each.strip().removeprefix("W/") for each in known):
            status, content = 304, b""
        else:
            headers = {**headers, "content-length": str(len(content))}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": content})


def _headers(content: bytes, content_type: str) -> dict[str, str]:
    return {
        "content-type": content_type,
        # Asked about each time, and not sent again: a new hotserve brings a new page.
        "cache-control": "no-cache",
        "etag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
