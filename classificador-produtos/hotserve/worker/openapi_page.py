"""The page at `/docs`: openapi.json for people, without scripts and without another host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Object = Mapping[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")
"""HEAD is left out: it is GET without the body."""


def page(document: Object) -> str:
    """The document as an HTML page; its links are relative, for a proxy that adds a path."""
    info = document["info"]
    title, version = escape(info["title"]), escape(info["version"])
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title} API</title>",
            '<link rel="icon" href="page/icon.svg"><link rel="stylesheet" href="page/docs.css">',
            f"</head><body><h1>{title} <small>{version}</small></h1>",
            _text(info["description"]),
            '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>',
            *_contents(document),
            *_operations(document),
            *_token(document),
            "</body></html>",
        ]
    )


def _contents(document: Object) -> Iterator[str]:
    yield "<nav><ul>"
    for path, method, operation in _all(document):
        name, summary = escape(f"{method.upper()} {path}"), _inline(operation["summary"])
        yield f'<li><a href="#{_anchor(method, path)}"><code>{name}</code></a> {summary}</li>'
    yield "</ul></nav>"


def _all(document: Object) -> Iterator[tuple[str, str, Object]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _anchor(method: str, path: str) -> str:
    return method + re.sub(r"\W+", "-", path)


def _operations(document: Object) -> Iterator[str]:
    needed = document.get("security", [])
    for path, method, operation in _all(document):
        yield f'<section id="{_anchor(method, path)}">'
        yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
        yield _text(operation["summary"] + ".")
        if "description" in operation:
            yield _text(operation["description"])
        if not operation.get("security", needed):
            yield "<p>Needs no token.</p>"
        if "requestBody" in operation:
            body = operation["requestBody"]
            yield f"<h3>Body</h3>{_text(body['description'])}"
            yield from _content(document, body["content"])
        yield "<h3>Answers</h3>"
        yield from _responses(document, operation["responses"])
        yield "</section>"


def _responses(document: Object, responses: Object) -> Iterator[str]:
    for status, told in responses.items():
        response = _resolved(document, told)
        yield f'<h4>{status}</h4><div class="answer">{_text(response["description"])}'
        if "headers" in response:
            yield "<dl>"
            for name, header in response["headers"].items():
                described = _inline(_resolved(document, header)["description"])
                yield f"<dt><code>{escape(name)}</code></dt><dd>{described}</dd>"
            yield "</dl>"
        yield from _content(document, response.get("content", {}))
        yield "</div>"


def _content(document: Object, content: Object) -> Iterator[str]:
    for media_type, media in content.items():
        yield f"<p><code>{escape(media_type)}</code></p>"
        yield from _fields(document, _resolved(document, media.get("schema", {})))
        if "example" in media:
            yield _sample(media["example"])
        for example in media.get("examples", {}).values():
            if "summary" in example:
                yield f"<p>{escape(example['summary'])}:</p>"
            yield _sample(example["value"])


def _fields(document: Object, schema: Object) -> Iterator[str]:
    if "description" in schema:
        yield _text(schema["description"])
    for choice in schema.get("oneOf", ()):
        yield from _fields(document, choice)
    if "properties" not in schema:
        return
    yield '<table><tr><th scope="col">field</th><th scope="col">type</th><th></th></tr>'
    for name, each in schema["properties"].items():
        field = _resolved(document, each)
        kinds = field.get("type", "any")
        kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
        told = _inline(field.get("description", ""))
        if "enum" in field:
            told += " " + ", ".join(f"<code>{escape(value)}</code>" for value in field["enum"])
        yield f"<tr><td><code>{escape(name)}</code></td><td>{kind}</td><td>{told}</td></tr>"
    yield "</table>"


def _token(document: Object) -> Iterator[str]:
    for scheme in document["components"].get("securitySchemes", {}).values():
        yield f"<section><h2>Token</h2>{_text(scheme['description'])}"
        yield _sample("Authorization: Bearer …") + "</section>"


def _resolved(document: Object, told: Object) -> Object:
    if "$ref" not in told:
        return told
    found: Any = document
    for part in told["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]


def _sample(value: object) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f'<pre tabindex="0">{escape(shown)}</pre>' if shown.strip() else ""


def _text(text: str) -> str:
    return f"<p>{_inline(text)}</p>"


def _inline(text: str) -> str:
    """Words between backticks are code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
