"""A model's files, fetched by MLflow without its command line."""

import runpy
import sys
from pathlib import Path

import pytest

from hotserve.config import mlflow_command


def test_the_files_are_there_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, folder = tmp_path / "model", tmp_path / "fetched"
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {}")
    monkeypatch.setattr(sys, "argv", ["fetch.py", str(model), str(folder)])
    runpy.run_path(str(mlflow_command._FETCH), run_name="__main__")
    assert [file.read_text() for file in folder.rglob("MLmodel")] == ["flavors: {}"]
