"""What is static: the page at `/`, its files, and the description of the API in two languages.

Read once, with the headers that they are sent with.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from urllib.parse import parse_qs

from hotserve.inputs.columns import CATEGORY, TEXT_PARTS, WHOLE_TEXT
from hotserve.worker.answer import Answer, Headers
from hotserve.worker.description import of_many as description_of_many
from hotserve.worker.routing import Receive, Scope

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_DOCS, _DOCS_IN_PORTUGUESE = "/docs", "/docs.pt-BR"
_DESCRIPTIONS = {"docs.html": _DOCS, "docs.pt-BR.html": _DOCS_IN_PORTUGUESE}
_PAGES = {"index.html": "/", **_DESCRIPTIONS}
_PAGES_OF_MANY = {"models.html": "/"}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    # Nothing may turn a text into markup, whatever it says.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

_NAMES = f"""\
export const TEXT_COLUMNS = {json.dumps([[WHOLE_TEXT], TEXT_PARTS])};
export const CATEGORY = {json.dumps(CATEGORY)};
""".encode()
"""What the page has to know of `hotserve.inputs.columns`: the parts that make a text together,
and the names of each."""


class StaticFiles:
    """The files by the path that they are asked for: `/`, `/page/…`, `/openapi.json`, `/docs`.

    Args:
        of_many: the paths of a server of many models, whose `/` lists them instead of trying one.

    Attributes:
        paths: all of them.
    """

    def __init__(self, of_many: Sequence[str] = ()) -> None:
        pages = _PAGES_OF_MANY if of_many else _PAGES
        package = resources.files("hotserve")
        description = package.joinpath("openapi.json").read_bytes()
        if of_many:
            description = description_of_many(description, [*of_many, "/page/{file}"])
        self._files = {"/openapi.json": (description, _headers(description, "application/json"))}
        for each in package.joinpath("page").iterdir():
            content_type = _TYPES.get(each.name.rpartition(".")[2])
            path = pages.get(each.name, "" if each.name.endswith("html") else f"/page/{each.name}")
            if content_type is not None and path:
                content = each.read_bytes()
                self._files[path] = content, _headers(content, content_type)
        self._files["/page/columns.js"] = _NAMES, _headers(_NAMES, _TYPES["js"])
        self.paths = self._files.keys()

    async def answer(self, scope: Scope, _receive: Receive) -> Answer:
        """Answer a request for one of the paths; 304 if the browser has the file."""
        path = scope["path"]
        path = path if path in self._files else path.removesuffix("/")
        content, headers = self._files[path]
        if path == _DOCS:
            if _is_for_portuguese(scope):
                content, headers = self._files[_DOCS_IN_PORTUGUESE]
            headers = [*headers, (b"vary", b"Accept-Language")]
        known = dict(scope["headers"]).get(b"if-none-match", b"").split(b",")
        if dict(headers)[b"etag"] in (each.strip().removeprefix(b"W/") for each in known):
            return Answer(304, headers)
        return Answer(200, headers, content)


def _is_for_portuguese(scope: Scope) -> bool:
    """By `?lang=` where somebody chose, else by the browser's first language."""
    chosen = parse_qs(scope.get("query_string", b"")).get(b"lang")
    language = chosen[0] if chosen else dict(scope["headers"]).get(b"accept-language", b"")
    return bool(language.strip().lower().startswith(b"pt"))


def _headers(content: bytes, content_type: str) -> Headers:
    return [
        (b"content-type", content_type.encode()),
        # Asked about each time, and not sent again: a new hotserve brings a new page.
        (b"cache-control", b"no-cache"),
        (b"etag", b'"%b"' % hashlib.sha256(content).hexdigest()[:16].encode()),
        (b"content-security-policy", _POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]
