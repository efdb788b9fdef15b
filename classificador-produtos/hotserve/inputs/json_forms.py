"""The forms of request that the fast lane may answer: its name, and how the model is asked in it.

A form is open for a version only if the model's own process gave the lane's answers to the probes
in that very form.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from hotserve.inputs.columns import TEXT_COLUMNS, TEXT_PARTS, text_of

INPUTS = "inputs"
INSTANCES = "instances"
SPLIT = "dataframe_split"
RECORDS = "dataframe_records"
CSV = "text/csv"
"""Goes to the process in one of the others, and is open where that one is."""

PARAMS = {"probabilities": True}
"""The one value of `params` that the lane knows."""
_PROBABILITIES = "+probabilities"

COLUMNS = (*((column,) for column in TEXT_COLUMNS), TEXT_PARTS)
"""The sets of columns that a table may have."""


def table_form(kind: str, columns: Iterable[str]) -> str:
    """The name of a form that is a table, whatever the order of its columns."""
    return f"{kind}:{','.join(sorted(columns))}"


ALL = (
    INPUTS,
    INSTANCES,
    *(table_form(kind, columns) for kind in (SPLIT, RECORDS) for columns in COLUMNS),
)
"""Every form whose answers are labels."""


def with_probabilities(form: str) -> str:
    """The name of a form with `PARAMS`."""
    return form + _PROBABILITIES


def by_probabilities(forms: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The forms whose answers are labels, and those of them open with `PARAMS` too."""
    chances = {form for form in forms if form.endswith(_PROBABILITIES)}
    return (
        frozenset(forms) - chances,
        frozenset(form.removesuffix(_PROBABILITIES) for form in chances),
    )


def request(form: str, texts: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """A body that asks for `texts` in a form, and the text of each product in it."""
    if form.endswith(_PROBABILITIES):
        body, asked = request(form.removesuffix(_PROBABILITIES), texts)
        return {**body, "params": PARAMS}, asked
    if form in (INPUTS, INSTANCES):
        return {form: list(texts)}, list(texts)
    kind, _, names = form.partition(":")
    columns = next(c for c in COLUMNS if names == ",".join(sorted(c)))
    rows = [_parts(text, len(columns)) for text in texts]
    asked = [text_of(row) for row in rows]
    if kind == SPLIT:
        return {SPLIT: {"columns": list(columns), "data": rows}}, asked
    return {RECORDS: [dict(zip(columns, row, strict=True)) for row in rows]}, asked


def _parts(text: str, count: int) -> list[str]:
    if count == 1:
        return [text]
    first, _, second = text.partition(" ")
    return [first, second]
