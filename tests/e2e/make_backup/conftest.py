"""A data folder after its first start, and a backup of it."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.make_backup.backups import Backups
from tests.e2e.stack import make_run


@pytest.fixture(scope="package")
def stack_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backups]:
    """A data folder after its first start, of which one backup was made while all ran."""
    folder = tmp_path_factory.mktemp("make-backup")
    made = Backups(folder / "home", folder / "kept", folder / "secrets" / "password")
    with make_run(made.home, folder / "output") as started:
        started.wait_until_ready()
        done = made.make("backup", CHECK="yes")
        assert done.returncode == 0, done.stderr
        assert "keep a copy elsewhere" in done.stderr
        running = made.make("restore", SNAPSHOT="latest", FORCE="yes")
        assert running.returncode == 2
        assert "stop it first" in running.stderr
    return folder, made


@pytest.fixture
def made(stack_home: tuple[Path, Backups], tmp_path: Path) -> Backups:
    """A copy of the folder and its backups for one test."""
    folder, original = stack_home
    for part in (original.home, original.target):
        shutil.copytree(part, tmp_path / part.name, symlinks=True)
    assert folder != tmp_path
    return Backups(tmp_path / "home", tmp_path / "kept", original.password)
