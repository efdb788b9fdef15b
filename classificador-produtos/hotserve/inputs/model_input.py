"""What a model's MLmodel file says about its input: does a line of text/csv mean a text?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

KNOWN_COLUMNS = ("texto", "informacao", "nome", "descricao")
"""Names of columns that hold a product's text, or a part of it."""


@dataclass(frozen=True, slots=True)
class TextInput:
    """How a model takes products.

    Attributes:
        kind: `texts`: a list of texts. `columns`: a table with the columns `columns`.
            `table`: something else, so its CSV is none of ours. `unknown`: the model does not say.
    """

    kind: Literal["texts", "columns", "table", "unknown"]
    columns: tuple[str, ...] = ()


TEXTS = TextInput("texts")
TABLE = TextInput("table")
UNKNOWN = TextInput("unknown")


def read(model: Path) -> TextInput:
    """How the model in the folder `model` takes products: by its signature, else its input example.

    A model with one input of strings, or with the known columns, takes texts. A file that can't
    be read says nothing.
    """
    try:
        declared = yaml.safe_load((model / "MLmodel").read_text("utf-8"))
        inputs = (declared.get("signature") or {}).get("inputs")
        if inputs:
            return _of_signature(json.loads(inputs))
        return _of_example(model, declared.get("saved_input_example_info") or {})
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError):
        return UNKNOWN


def _of_signature(inputs: list[Mapping[str, Any]]) -> TextInput:
    if not all(_is_text(each) for each in inputs):
        return TABLE
    names = tuple(str(each["name"]) for each in inputs if each.get("name"))
    if len(inputs) == 1:
        return TextInput("columns", names) if names else TEXTS
    if len(names) == len(inputs) and set(names) <= set(KNOWN_COLUMNS):
        return TextInput("columns", names)
    return TABLE


def _is_text(spec: Mapping[str, Any]) -> bool:
    if spec.get("type") == "tensor":
        tensor = spec.get("tensor-spec") or {}
        # One text an element; a second dimension would be a table.
        return tensor.get("dtype") in ("str", "object") and len(tensor.get("shape", ())) == 1
    return spec.get("type") == "string"


def _of_example(model: Path, example: Mapping[str, Any]) -> TextInput:
    place = example.get("serving_input_path")
    if not place:
        return UNKNOWN
    shown = json.loads((model / str(place)).read_text("utf-8"))
    if "dataframe_split" in shown:
        names = tuple(map(str, shown["dataframe_split"].get("columns", ())))
        return TextInput("columns", names) if names and set(names) <= set(KNOWN_COLUMNS) else TABLE
    values = shown.get("inputs")
    if isinstance(values, str) or (
        isinstance(values, list) and values and all(isinstance(v, str) for v in values)
    ):
        return TEXTS
    return TABLE if values else UNKNOWN
