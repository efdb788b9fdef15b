"""Which versions were in a stage, one after another, as a tag of the registered model.

A move in the web page is not in it. So each entry holds when its version was last changed: a
version that was moved since is seen not to be as it was left.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

_MOST = 50
"""Entries that are kept; those before are forgotten."""


@dataclass(frozen=True)
class Entry:
    """A version that took a stage.

    Attributes:
        number: of the version.
        changed: when the registry last changed it, in milliseconds, as it was left.
    """

    number: str
    changed: int


@dataclass
class History:
    """What was in a stage.

    Attributes:
        model: the registered model.
        stage: which.
        entries: oldest first; the last one is there, unless a hand moved another.
    """

    model: str
    stage: str
    entries: list[Entry]

    def add(self, version: ModelVersion) -> None:
        """A version is there, as it is now; if it is the last one already, it stays one entry."""
        if self.entries and self.entries[-1].number == str(version.version):
            self.entries.pop()
        self.entries.append(Entry(str(version.version), int(version.last_updated_timestamp or 0)))

    def tells_of(self, version: ModelVersion) -> bool:
        """Whether a version is the last entry, and as it was left."""
        changed = int(version.last_updated_timestamp or 0)
        return self.entries[-1:] == [Entry(str(version.version), changed)]

    def write(self, client: MlflowClient) -> None:
        """Keep it."""
        told = " ".join(f"{each.number}@{each.changed}" for each in self.entries[-_MOST:])
        client.set_registered_model_tag(self.model, _tag(self.stage), told)


def read(client: MlflowClient, model: str, stage: str) -> History:
    """The history of a stage; empty if there is none, or if a hand wrote something else there."""
    try:
        told = client.get_registered_model(model).tags.get(_tag(stage), "")
        parts = [each.split("@") for each in told.split()]
        return History(model, stage, [Entry(number, int(changed)) for number, changed in parts])
    except (MlflowException, ValueError):
        return History(model, stage, [])


def _tag(stage: str) -> str:
    return f"history.{stage}"
