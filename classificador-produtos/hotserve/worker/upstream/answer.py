"""Reads what the model's process answered: how many predictions, and of which categories."""

import json
from typing import Any

from hotserve.inputs.columns import CATEGORY

LARGEST = 4_000_000
"""Bytes; reading a larger answer would hold up the other requests for too long."""


def predictions(body: bytes) -> list[Any] | None:
    """The predictions in an answer of `/invocations`: a list, bare or as `predictions`."""
    if len(body) > LARGEST:
        return None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = answer.get("predictions") if isinstance(answer, dict) else answer
    return found if isinstance(found, list) else None


def categories(predictions: list[Any]) -> list[str]:
    """The category of each prediction that is a string, or an object with `categoria`."""
    named = [each.get(CATEGORY) if isinstance(each, dict) else each for each in predictions]
    return [category for category in named if isinstance(category, str)]
