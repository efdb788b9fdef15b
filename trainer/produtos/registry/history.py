"""Which versions were in a stage, one after another, as a tag of the registered model.

A move in the web page is not in it. So each entry holds when its version was last changed: a
version that was moved since is seen not to be as it was left.
"""

from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

_MOST = 50
"""Entries that are kept; those before are forgotten."""


class History:
    """What was in a stage; empty at first.

    Attributes:
        entries: a version's number and when the registry last changed it, `2@1764000000000`,
            oldest first; the last one is in the stage, unless a hand moved another.
    """

    def __init__(self, client: MlflowClient, model: str, stage: str) -> None:
        self._client = client
        self._model = model
        self._tag = f"history.{stage}"
        kept = client.get_registered_model(model).tags.get(self._tag, "")
        self.entries: list[str] = kept.split()

    def add(self, version: ModelVersion) -> None:
        """A version is there, as it is now; if it is the last one already, it stays one entry."""
        if self.entries and _number(self.entries[-1]) == str(version.version):
            self.entries.pop()
        self.entries.append(_entry(version))

    def ends_with(self, version: ModelVersion) -> bool:
        """Whether a version is the last entry, and as it was left."""
        return self.entries[-1:] == [_entry(version)]

    def before(self, version: ModelVersion) -> str | None:
        """The number of the version that was there before the last entry's, if it is known."""
        numbers = map(_number, self.entries[-2::-1])
        return next((number for number in numbers if number != str(version.version)), None)

    def save(self) -> None:
        """Keep it."""
        kept = " ".join(self.entries[-_MOST:])
        self._client.set_registered_model_tag(self._model, self._tag, kept)


def _entry(version: ModelVersion) -> str:
    return f"{version.version}@{int(version.last_updated_timestamp or 0)}"


def _number(entry: str) -> str:
    return entry.partition("@")[0]
