"""The answer to a joint request, taken apart; and whether two answers are the same."""

import json
import math
from collections.abc import Sequence
from typing import Any

TOLERANCE = 1e-5
"""By which floats may differ, relative to the larger one: their sums are made in another order."""
_NEAR_ZERO = 1e-6


class WrongLength(Exception):
    """It is not one prediction for each row; the text says what it is instead."""


def predictions(body: bytes, rows: int) -> list[Any]:
    """The predictions of an answer to so many rows.

    Raises:
        WrongLength: they are not one for each.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise WrongLength("its answer is no JSON") from None
    if not isinstance(answer, dict) or [*answer] != ["predictions"]:
        raise WrongLength("its answer has something else than 'predictions'")
    found = answer["predictions"]
    if not isinstance(found, list):
        raise WrongLength("its 'predictions' are no list")
    if len(found) != rows:
        raise WrongLength(f"it gave {len(found)} predictions for {rows} rows")
    return found


def split(body: bytes, rows: Sequence[int]) -> list[bytes]:
    """The answer to each part of a joint request, in MLflow's own bytes.

    Args:
        rows: how many each part has.

    Raises:
        WrongLength: the predictions are not one for each row.
    """
    found = predictions(body, sum(rows))
    made, begin = [], 0
    for count in rows:
        made.append(b'{"predictions": %b}' % json.dumps(found[begin : begin + count]).encode())
        begin += count
    return made


def same(one: Any, other: Any) -> bool:
    """Whether two predictions are equal, floats within `TOLERANCE`."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return [*one] == [*other] and all(map(same, one.values(), other.values()))
    if isinstance(one, float) and isinstance(other, float):
        both = math.isnan(one) and math.isnan(other)
        return both or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=_NEAR_ZERO)
    return type(one) is type(other) and bool(one == other)
