"""The forms of request that the fast lane may answer: its name, and how the model is asked in it.

A form is open for a version only if the model's own process gave the lane's answers to the probes
in that very form.
"""

from collections.abc import Iterable, Sequence
from itertools import product
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
PROBABILITIES = "+probabilities"
"""What stands behind the name of a form with `PARAMS`."""

COLUMNS = (*((column,) for column in TEXT_COLUMNS), *product(*TEXT_PARTS))
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
    return form + PROBABILITIES


def request(form: str, texts: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """A body that asks for `texts` in a form, and the text of each product in it."""
    kind, _, names = form.removesuffix(PROBABILITIES).partition(":")
    params = {"params": PARAMS} if form.endswith(PROBABILITIES) else {}
    if not names:
        return {kind: list(texts), **params}, list(texts)
    columns = [name for name in TEXT_COLUMNS if name in names.split(",")]
    rows = [[text] if len(columns) == 1 else [*text.partition(" ")[::2]] for text in texts]
    data: Any = {"columns": columns, "data": rows}
    if kind == RECORDS:
        data = [dict(zip(columns, row, strict=True)) for row in rows]
    return {kind: data, **params}, list(map(text_of, rows))
