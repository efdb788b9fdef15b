"""Products of a whole body."""

from collections.abc import Sequence

from hotserve.inputs import csv


def products(body: bytes, model_columns: Sequence[str] = ()) -> csv.Products:
    """All that `csv.read` finds, in one piece."""
    parts = list(csv.read(body, model_columns))
    return csv.Products(parts[0].columns, [row for part in parts for row in part.rows])
