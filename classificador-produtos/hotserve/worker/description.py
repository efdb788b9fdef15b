"""The description of the API where many models are served, made of that of one."""

import json
from collections.abc import Iterable
from typing import Any

OF_A_MODEL = "/models/{name}"

_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "Of the registered model.",
    "schema": {"type": "string"},
}
_NOT_FOUND = {"$ref": "#/components/responses/NotFound"}
_LIST: dict[str, Any] = {
    "get": {
        "tags": ["Service"],
        "summary": "The models that are served",
        "responses": {
            "200": {
                "description": "Those that the token is good for.",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["uri", "message", "registry", "models"],
                            "properties": {
                                "uri": {"type": "string"},
                                "message": {
                                    "type": ["string", "null"],
                                    "description": "Why there is none.",
                                },
                                "registry": {"type": ["object", "null"]},
                                "models": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["name", "version", "state", "path"],
                                        "properties": {
                                            "name": {"type": "string"},
                                            "version": {"type": ["string", "null"]},
                                            "state": {"type": "string"},
                                            "path": {"type": "string"},
                                        },
                                    },
                                },
                            },
                        }
                    }
                },
            },
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "405": {"$ref": "#/components/responses/MethodNotAllowed"},
        },
    }
}


def of_many(document: bytes, paths: Iterable[str]) -> bytes:
    """An OpenAPI document of these paths.

    What a model has below its own is what one model has at the same place.

    Args:
        document: of a server of one model.
    """
    described: dict[str, Any] = json.loads(document)
    of_one, of_all = described["paths"], dict[str, Any]()
    for path in paths:
        own = path.removeprefix(OF_A_MODEL)
        item = of_one.get(own, _LIST)
        of_all[path] = _below_a_model(item) if own != path else item
    described["paths"] = of_all
    return json.dumps(described, ensure_ascii=False, indent=2).encode() + b"\n"


def _below_a_model(item: dict[str, Any]) -> dict[str, Any]:
    operations = {
        method: {**operation, "responses": {**operation["responses"], "404": _NOT_FOUND}}
        for method, operation in item.items()
        if method in ("get", "post")
    }
    return {**item, **operations, "parameters": [*item.get("parameters", []), _NAME]}
