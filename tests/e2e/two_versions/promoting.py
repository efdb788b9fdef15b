"""The command that promotes, in this process."""

import sys
import warnings
from pathlib import Path

import promote as entry_point
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from produtos.registry import registry
from produtos.registry.registry import MODEL_NAME


class Promote:
    """The command, in this process: its exit code is what `main` ends with.

    Attributes:
        client: of the server whose versions are moved.
        products: the data set that both were trained on.
    """

    def __init__(
        self,
        client: MlflowClient,
        products: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.client = client
        self.products = products
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[str, str]:
        if "--dataset" not in arguments:
            arguments = (*arguments, "--dataset", str(self.products))
        self._monkeypatch.setattr(sys, "argv", ["promote.py", *arguments])
        entry_point.main()
        written = self._capsys.readouterr()
        return written.out, written.err

    def refused(self, *arguments: str) -> tuple[str, str]:
        """A version that is worse: exit code 1, one line."""
        with pytest.raises(SystemExit) as ended:
            self(*arguments)
        assert ended.value.code == 1
        written = self._capsys.readouterr()
        (line,) = written.err.splitlines()
        return written.out, line

    def version(self, number: str) -> ModelVersion:
        return self.client.get_model_version(MODEL_NAME, number)

    def places(self) -> tuple[dict[str, str], dict[str, str]]:
        """Stages by version and versions by alias."""
        stages = {each.version: each.current_stage for each in registry.versions(self.client)}
        aliases = self.client.get_registered_model(MODEL_NAME).aliases
        return (
            {str(number): str(stage) for number, stage in stages.items()},
            {alias: str(number) for alias, number in aliases.items()},
        )

    def by_hand(self, number: str, *, archive: bool) -> None:
        """Move a version to Production as the web page does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.client.transition_model_version_stage(MODEL_NAME, number, "Production", archive)


AT_FIRST = ({"1": "Production", "2": "Staging"}, {"production": "1", "staging": "2"})
