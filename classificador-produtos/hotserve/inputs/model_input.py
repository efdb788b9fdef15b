"""What a model's files say about its input: does a line of text/csv mean a text?"""

import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import yaml

from hotserve.inputs.columns import TEXT_COLUMNS, fold

_SKLEARN_MODULE = re.compile(rb"sklearn\.[\w.]+")
_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class TextInput:
    """How a model takes products.

    Attributes:
        kind: `texts`: a list of texts. `columns`: a table with the columns `columns`.
            `table`: something else, so its CSV is none of ours. `misdeclared`: a scikit-learn
            pipeline of texts whose signature names `columns`; it is given a table then, and
            answers once for each name of a column.
    """

    kind: Literal["texts", "columns", "table", "misdeclared"]
    columns: tuple[str, ...] = ()


TEXTS = TextInput("texts")
TABLE = TextInput("table")


def read_mlmodel(model: Path) -> Mapping[str, Any]:
    """What the MLmodel file in a model's folder says; nothing where it can't be read."""
    try:
        found = yaml.safe_load((model / "MLmodel").read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def read(model: Path, mlmodel: Mapping[str, Any]) -> TextInput:
    """How the model in the folder `model` takes products.

    A model takes texts if its signature, or else its input example, has one input of strings or
    the known columns; or if it has neither and is a pipeline that begins with a text vectorizer.
    """
    try:
        vectorizes = _begins_with_vectorizer(model, mlmodel.get("flavors") or {})
        if inputs := (mlmodel.get("signature") or {}).get("inputs"):
            found = _of_signature(json.loads(inputs))
            misdeclared = vectorizes and found.kind == "columns"
            return TextInput("misdeclared", found.columns) if misdeclared else found
        found = _of_example(model, mlmodel.get("saved_input_example_info") or {})
        return TEXTS if vectorizes else found
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return TABLE


def signature(mlmodel: Mapping[str, Any]) -> dict[str, Any]:
    """MLflow's lists of the model's `inputs`, `outputs` and `params`, each if it is there."""
    try:
        found = {key: json.loads(text) for key, text in mlmodel["signature"].items() if text}
        return {
            key: [each for each in specs if isinstance(each, dict)]
            for key, specs in found.items()
            if isinstance(specs, list)
        }
    except (ValueError, AttributeError, TypeError, KeyError):
        return {}


def expected(mlmodel: Mapping[str, Any]) -> dict[str, Any] | None:
    """What its trainer saw on texts that it was not trained on, if it says so in its metadata.

    Returns:
        `unknown_terms`, `top_probability`, and `products`: the share of each category.
    """
    try:
        figures = mlmodel["metadata"]["expected"]
        numbers = {name: float(figures[name]) for name in ("unknown_terms", "top_probability")}
        shares = {str(name): float(share) for name, share in figures["products"].items()}
        # What is no number has no place in JSON.
        is_known = all(map(isfinite, (*numbers.values(), *shares.values())))
        return {**numbers, "products": shares} if is_known else None
    except (ValueError, AttributeError, TypeError, KeyError):
        return None


def _begins_with_vectorizer(model: Path, flavors: Mapping[str, Any]) -> bool:
    """Whether it is a scikit-learn pipeline of texts, by the first names in its file.

    The file is not loaded: that would run whatever it holds.
    """
    if (flavors.get("python_function") or {}).get("loader_module") != "mlflow.sklearn":
        return False
    path = model / str(flavors["sklearn"]["pickled_model"])
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, archive.open("schema.json") as file:
                head = file.read(_HEAD)
        else:
            with path.open("rb") as file:
                head = file.read(_HEAD)
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error):
        # What is damaged is for MLflow to say.
        return False
    modules = [name for name in _SKLEARN_MODULE.findall(head) if name != b"sklearn.pipeline"]
    return modules[:1] == [b"sklearn.feature_extraction.text"]


def _of_signature(inputs: list[Mapping[str, Any]]) -> TextInput:
    if not all(_is_text(each) for each in inputs):
        return TABLE
    names = tuple(str(each["name"]) for each in inputs if each.get("name"))
    if len(inputs) == 1:
        return TextInput("columns", names) if names else TEXTS
    if len(names) == len(inputs) and _are_known(names):
        return TextInput("columns", names)
    return TABLE


def _is_text(spec: Mapping[str, Any]) -> bool:
    if spec.get("type") == "tensor":
        tensor = spec.get("tensor-spec") or {}
        # One text an element; a second dimension would be a table.
        return tensor.get("dtype") in ("str", "object") and len(tensor.get("shape", ())) == 1
    return spec.get("type") == "string"


def _of_example(model: Path, example: Mapping[str, Any]) -> TextInput:
    path = example.get("serving_input_path")
    if not path:
        return TABLE
    request = json.loads((model / str(path)).read_text("utf-8"))
    if "dataframe_split" in request:
        names = tuple(map(str, request["dataframe_split"].get("columns", ())))
        return TextInput("columns", names) if names and _are_known(names) else TABLE
    values = request.get("inputs")
    texts = values if isinstance(values, list) else [values]
    return TEXTS if texts and all(isinstance(text, str) for text in texts) else TABLE


def _are_known(names: Sequence[str]) -> bool:
    return {*map(fold, names)} <= {*TEXT_COLUMNS}
