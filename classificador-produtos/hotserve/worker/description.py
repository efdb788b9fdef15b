"""The description of the API where many models are served, made of that of one."""

import json
from collections.abc import Iterable
from typing import Any

OF_A_MODEL = "/models/{name}"

_NAME = {"$ref": "#/components/parameters/Name"}
_NOT_FOUND = {"$ref": "#/components/responses/NotFound"}


def of_many(document: bytes, paths: Iterable[str]) -> bytes:
    """An OpenAPI document of these paths.

    What a model has below its own is what one model has at the same place.

    Args:
        document: of a server of one model.
    """
    described: dict[str, Any] = json.loads(document)
    of_one, of_all = described["paths"], dict[str, Any]()
    list_of_models = described["components"]["pathItems"]["Models"]
    for path in paths:
        own = path.removeprefix(OF_A_MODEL)
        item = of_one.get(own, list_of_models)
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
