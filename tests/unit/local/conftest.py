"""Settings of a `make run` in a folder of the test's own."""

from pathlib import Path

import pytest

from local.settings import Settings


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data folder in the current folder, which has no logs yet."""
    monkeypatch.chdir(tmp_path)
    settings = Settings(5000, 8080, tmp_path / "dados", "produtos.csv")
    settings.logs.mkdir(parents=True)
    return settings
