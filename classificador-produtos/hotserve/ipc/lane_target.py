"""What the manager tells the front workers of an open fast lane."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class LaneTarget:
    """An open lane of one version.

    Attributes:
        path: the compiled file.
        version: sent to clients as X-Model-Version (empty for a model outside of the registry).
        mlflow: the version of MLflow that its answers were compared with.
        forms: the forms of request that it answers; see `lane_forms`.
        csv: whether it answers text/csv.
        columns: the columns of the model, in which text/csv is put; empty for a model of texts.
        spares_numbers: whether text/csv that is a table of numbers is not for it.
    """

    path: str
    version: str
    mlflow: str
    forms: tuple[str, ...]
    csv: bool
    columns: tuple[str, ...]
    spares_numbers: bool

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        lists = {name: tuple(values[name]) for name in ("forms", "columns")}
        return cls(**{**values, **lists})
