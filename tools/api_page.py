"""Write the page at `/docs` of hotserve from its openapi.json: `make api-page`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

PACKAGE = Path(__file__).resolve().parents[1] / "classificador-produtos" / "hotserve"
PAGE = PACKAGE / "page" / "docs.html"
_METHODS = ("get", "post", "put", "patch", "delete")
"""HEAD is left out: it is GET without the body."""


def page(document: Mapping[str, Any]) -> str:
    """An OpenAPI document as an HTML page."""

    def resolved(item: Mapping[str, Any]) -> Any:
        found: Any = document
        for part in item["$ref"].removeprefix("#/").split("/") if "$ref" in item else ():
            found = found[part]
        return found if "$ref" in item else item

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "anchor": lambda operation: operation[0] + re.sub(r"\W+", "-", operation[1]),
        "code": lambda text: Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))),
        "json": lambda value: json.dumps(value, ensure_ascii=False),
        "resolved": resolved,
    }
    operations = [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    return environment.get_template("api_page.html").render(document, operations=operations)


if __name__ == "__main__":
    PAGE.write_text(page(json.loads((PACKAGE / "openapi.json").read_bytes())), "utf-8")
