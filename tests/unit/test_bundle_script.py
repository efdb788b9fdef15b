"""`make bundle IMAGES=yes`: the images that are packed, and what the bundle's `.env` calls them.

Docker and pip are played by scripts here; tests/compose starts the stack from a real bundle.
"""

import shutil
import tarfile
from pathlib import Path

import pytest

from tests.e2e.git_repository import git
from tests.support.commands import ROOT, program
from tests.support.fake_docker import FakeDocker

DIGEST = f"@sha256:{'0' * 64}"
SETTINGS = f"""\
IMAGE_PREFIX=produtos
IMAGE_TAG=1
PYTHON_IMAGE=python:3.11{DIGEST}
MYSQL_IMAGE=mysql:9{DIGEST}
"""
ANSWERS = """\
  "compose config --images") printf '%s\\n' "$MYSQL_IMAGE" produtos/mlflow:2 produtos/mlflow:2 ;;
  save*) echo saved ;;
"""
PYTHON = """\
case "$*" in
  "-m pip download"*) mkdir -p "$(sed 's/.*--dest \\([^ ]*\\).*/\\1/' <<<"$*")" ;;
  *) echo python3.11 x86_64 ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    (folder / "local").mkdir(parents=True)
    shutil.copy(ROOT / "local" / "bundle.sh", folder / "local")
    (folder / ".env").write_text(SETTINGS, encoding="utf-8")
    git("init", "--quiet", "--initial-branch", "main", cwd=folder)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--message", "x", cwd=folder)
    (folder / ".venv").mkdir()
    program(folder / ".venv" / "bin" / "python", PYTHON, "/bin/bash")
    return folder


def test_what_is_named_by_its_digest_goes_by_its_tag(clone: Path, tmp_path: Path) -> None:
    mysql = f"mirror:5000/mysql:9{DIGEST}"
    docker = FakeDocker(tmp_path, ANSWERS)
    # As on a machine with settings of its own.
    done = docker.run(
        *(clone / "local" / "bundle.sh", str(tmp_path / "bundle.tar")),
        IMAGES="yes",
        IMAGE_TAG="2",
        MYSQL_IMAGE=mysql,
    )
    assert done.returncode == 0, done.stderr
    calls = docker.calls.read_text("utf-8").splitlines()
    assert f"tag {mysql} mirror:5000/mysql:9" in calls
    assert "save mirror:5000/mysql:9 produtos/mlflow:2" in calls
    with tarfile.open(tmp_path / "bundle.tar") as bundle:
        bundle.extractall(tmp_path, filter="data")
    unpacked = tmp_path / "classificador-de-produtos"
    assert (unpacked / "images.tar.gz").exists()
    settings = (unpacked / ".env").read_text("utf-8")
    assert settings.startswith(SETTINGS)
    _, *added = settings.removeprefix(SETTINGS).strip().splitlines()
    assert added == ["IMAGE_PREFIX=produtos", "IMAGE_TAG=2", "MYSQL_IMAGE=mirror:5000/mysql:9"]
