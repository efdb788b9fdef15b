"""Reads which categories the model's process answered; only to count them."""

from __future__ import annotations

import json

from hotserve.inputs.json_forms import CATEGORY

LARGEST = 4_000_000
"""Bytes; reading a larger answer would hold up the other requests for too long."""


def categories(body: bytes) -> list[str]:
    """The category of each product in an answer of `/invocations`.

    Known are `{"predictions": […]}` and a bare list, of strings or of objects with `categoria`
    Whatever is none of that has no categories.
    """
    if len(body) > LARGEST:
        return []
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return []
    predictions = answer.get("predictions") if isinstance(answer, dict) else answer
    if not isinstance(predictions, list):
        return []
    named = [each.get(CATEGORY) if isinstance(each, dict) else each for each in predictions]
    return [category for category in named if isinstance(category, str)]
