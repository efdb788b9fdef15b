"""Rows to try a model with: those of its input example, and rows made from its signature."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotserve.batching.requests import (
    CSV,
    FORMS_OF_TABLES,
    JSON,
    LISTS,
    ONLY_INPUT,
    body_of,
    table,
)

MOST = 8
"""Rows that are asked one by one."""

_NUMBERS = (0.0, 1.5, -2.25, 10.5, 0.125, 100.0, 3.75, -37.5)
_WHOLE = (0, 1, 2, 3, 10, 5, 7, 100)
_TEXTS = ("a", "boneca de pano", "halo 3", "dom casmurro", "B2", "sim", "não", "bola azul 10")
_MADE: Mapping[str, Sequence[Any]] = {
    **dict.fromkeys(("double", "float", "float64", "float32"), _NUMBERS),
    **dict.fromkeys(("integer", "long", "int32", "int64", "int8", "int16", "uint8"), _WHOLE),
    **dict.fromkeys(("boolean", "bool"), (True, False)),
    **dict.fromkeys(("string", "str", "object"), _TEXTS),
    "datetime": tuple(f"2026-0{month}-1{month}T0{month}:30:00" for month in range(1, 9)),
}


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows that differ.

    Attributes:
        columns: their names; None for a list of texts, numbers or tensors.
        rows: each as a list of the columns' values, or as an element of that list.
    """

    columns: tuple[str, ...] | None
    rows: tuple[Any, ...]

    def requests(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """Content type and body of a request for each row, by form, the usual forms first."""
        return {
            form: [
                ((CSV if form == CSV else JSON).encode(), body_of(form, self.columns, [row], {}))
                for row in self.rows
            ]
            for form in (LISTS if self.columns is None else FORMS_OF_TABLES)
        }


def column_types(inputs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The types that a signature gives to its `inputs`, by name."""
    found = {}
    for each in inputs:
        name = str(each.get("name") or ONLY_INPUT)
        found[name] = str((each.get("tensor-spec") or {}).get("dtype") or each.get("type"))
    return found


def samples(
    model: Path,
    mlmodel: Mapping[str, Any],
    inputs: Sequence[Mapping[str, Any]],
    *,
    takes_texts: bool,
) -> Samples | None:
    """Rows for the model in that folder; None if neither example nor signature gives any.

    Args:
        mlmodel: what its file of that name says.
        inputs: of its signature.
        takes_texts: whether it is known to take a list of texts.
    """
    example = _of_example(model, mlmodel)
    made = _of_signature(inputs)
    if example is None:
        return made or (Samples(None, _TEXTS) if takes_texts and not inputs else None)
    rows = list(example.rows[: MOST // 2])
    if made is not None and made.columns == example.columns:
        rows += made.rows[: MOST - len(rows)]
    # A single row says nothing about company.
    rows += [_varied(row, number) for number in range(1, MOST) for row in example.rows[:2]]
    kept = {json.dumps(row): row for row in rows}
    return Samples(example.columns, tuple(itertools.islice(kept.values(), MOST)))


def _of_signature(inputs: Sequence[Mapping[str, Any]]) -> Samples | None:
    columns: dict[Any, Sequence[Any]] = {}
    for index, each in enumerate(inputs):
        if values := _values(each):
            # Each column goes through its values at a pace of its own.
            at = [(row * (2 * index + 1) + index) % len(values) for row in range(MOST)]
            columns[each.get("name") or None] = [values[n] for n in at]
        elif each.get("required", True):
            return None
    if [*columns] == [None] and len(inputs) == 1:
        return Samples(None, tuple(columns[None]))
    if not columns or not all(isinstance(name, str) for name in columns):
        return None
    return Samples(tuple(columns), tuple(map(list, zip(*columns.values(), strict=True))))


def _values(spec: Mapping[str, Any]) -> Sequence[Any] | None:
    import numpy as np

    tensor = spec.get("tensor-spec")
    if not isinstance(tensor, dict):
        return _MADE.get(str(spec.get("type")))
    numbers = _MADE.get(str(tensor.get("dtype")))
    shape = tensor.get("shape") or []
    if numbers is None or not shape or shape[0] != -1 or any(size < 1 for size in shape[1:]):
        return None
    # Repeats them until the tensor is full.
    made: list[Any] = np.resize([*numbers, *numbers[:3]], (MOST, *shape[1:])).tolist()
    return made


def _of_example(model: Path, mlmodel: Mapping[str, Any]) -> Samples | None:
    """The rows of the request that MLflow keeps beside the example."""
    try:
        path = mlmodel["saved_input_example_info"]["serving_input_path"]
        request = json.loads((model / str(path)).read_text("utf-8"))
        _, names, rows = table({name: request[name] for name in request if name != "params"})
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None
    if not rows or not all(isinstance(name, str) for name in names or ()):
        return None
    return Samples(None if names is None else tuple(names), tuple(rows))


def _varied(value: Any, number: int) -> Any:
    """A row like that one, with other numbers."""
    if isinstance(value, list):
        return [_varied(each, number + index % 3) for index, each in enumerate(value)]
    if isinstance(value, bool):
        return value ^ bool(number % 2)
    if isinstance(value, int):
        return value + number
    if isinstance(value, float):
        return value * (1 + number / 4) + number / 8
    return value
