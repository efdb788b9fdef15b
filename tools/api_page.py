"""Write the pages at `/docs` of hotserve from its openapi.json: `make api-page`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

PACKAGE = Path(__file__).resolve().parents[1] / "classificador-produtos" / "hotserve"
PAGES = {"en": PACKAGE / "page" / "docs.html", "pt-BR": PACKAGE / "page" / "docs.pt-BR.html"}
CATALOGUE = Path(__file__).with_name("api_page.pt-BR.po")
_METHODS = ("get", "post", "put", "patch", "delete")
"""HEAD is left out: it is GET without the body."""


def translation(language: str) -> Callable[[str], str]:
    """A function from the document's English to a language of `PAGES`.

    It raises KeyError for a text that `CATALOGUE` does not have.
    """
    if language == "en":
        return str
    with CATALOGUE.open("rb") as file:
        return {str(each.id): str(each.string) for each in read_po(file) if each.string}.__getitem__


def page(document: Mapping[str, Any], language: str = "en") -> str:
    """An OpenAPI document as an HTML page.

    Raises:
        KeyError: a text of it has no translation.
    """

    def resolved(item: Mapping[str, Any]) -> Any:
        found: Any = document
        for part in item["$ref"].removeprefix("#/").split("/") if "$ref" in item else ():
            found = found[part]
        return found if "$ref" in item else item

    tr = translation(language)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "anchor": lambda operation: operation[0] + re.sub(r"\W+", "-", operation[1]),
        "text": lambda text: Markup(
            re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(tr(text))))
        ),
        "json": lambda value: json.dumps(value, ensure_ascii=False),
        "resolved": resolved,
    }
    environment.globals |= {"tr": tr, "language": language}
    operations = [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    return environment.get_template("api_page.html").render(document, operations=operations)


if __name__ == "__main__":
    for language, file in PAGES.items():
        file.write_text(
            page(json.loads((PACKAGE / "openapi.json").read_bytes()), language), "utf-8"
        )
