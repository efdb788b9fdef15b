"""Where versions are looked for, above all when MLFLOW_TRACKING_URI was forgotten."""

import os
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.commands import ROOT, completed

TRAINER = ROOT / "trainer"
COMMANDS = [["promote.py", "--version", "2"], ["batch.py", "boneca"]]


def run(command: list[str], folder: Path, **variables: str) -> list[str]:
    """What a refused command writes, a line each."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    ended = completed(
        [sys.executable, str(TRAINER / command[0]), *command[1:]],
        cwd=folder,
        env=environment | variables,
    )
    assert ended.returncode == 2, ended.stderr
    return ended.stderr.splitlines()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_forgotten_variable_is_named_and_no_database_is_made(
    command: list[str], tmp_path: Path
) -> None:
    (line,) = run(command, tmp_path)
    assert "MLFLOW_TRACKING_URI is not set" in line
    # MLflow writes the path in it as one of an address.
    assert f"sqlite:///{quote(str(tmp_path))}/mlflow.db, which does not exist" in line
    assert "set MLFLOW_TRACKING_URI, such as http://localhost:5000" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_registry_without_versions_says_where_it_is(command: list[str], tmp_path: Path) -> None:
    database = tmp_path / "meu.db"
    database.touch()
    (line,) = run(command, tmp_path, MLFLOW_TRACKING_URI=f"sqlite:///{database}")
    assert "train" in line
    assert f"looked in sqlite:///{database}" in line
    assert "set MLFLOW_TRACKING_URI, such as http://localhost:5000" in line


def test_address_without_http_is_told_so(tmp_path: Path) -> None:
    (line,) = run(COMMANDS[1], tmp_path, MLFLOW_TRACKING_URI="localhost:5611")
    assert "write http:// in front, MLFLOW_TRACKING_URI=http://localhost:5611" in line
    assert list(tmp_path.iterdir()) == []
