"""Where requests go at the moment: what the manager tells the front workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from hotserve.inputs.model_input import TextInput


@dataclass(frozen=True, slots=True)
class Target:
    """A healthy server process of one version.

    Attributes:
        generation: grows with every process that takes over.
        port: on the loopback.
        version: sent to clients as X-Model-Version (empty for a model outside of the registry).
        mlflow: the answer of its /version.
        text_input: how its model takes products.
    """

    generation: int
    port: int
    version: str
    mlflow: str
    text_input: TextInput

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        told = values["text_input"]
        text_input = TextInput(told["kind"], tuple(told["columns"]))
        return cls(**{**values, "text_input": text_input})
