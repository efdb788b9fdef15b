"""`make lint` names each image that has no digest."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROOT, completed

FILES = [".env", "Dockerfile", "compose.yml", "benchmarks/chapter.yml", ".gitlab-ci.yml"]
FILES += [".github/workflows/ci.yml", "deploy/offline-images/mysql/Dockerfile"]


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return completed([ROOT / "tests" / "images-are-pinned.sh", folder])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that name images; more can be written into them."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_image_of_the_project_has_its_digest(copy: Path) -> None:
    assert check(ROOT).returncode == 0, check(ROOT).stderr
    assert check(copy).returncode == 0


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (".env", "MYSQL_IMAGE=mysql:9.7"),
        (".env", "S3_IMAGE=pgsty/silo"),
        ("Dockerfile", "ARG PYTHON_IMAGE=python:3.11"),
        ("Dockerfile", "FROM python:3.11@sha256:0123 AS base"),
        ("compose.yml", "    image: caddy:2"),
        ("compose.other.yml", "    image: 'caddy:2'"),
        ("benchmarks/chapter.yml", "    image: registry.example/mysql"),
        (".gitlab-ci.yml", "  DOCKER_IMAGE: docker:28.5.1-cli"),
        (".github/workflows/ci.yml", "        image: mysql:9.7"),
        ("deploy/offline-images/mysql/Dockerfile", "FROM debian:sid"),
    ],
)
def test_one_without_is_named_with_its_place(copy: Path, file: str, line: str) -> None:
    with (copy / file).open("a") as end:
        end.write(f"\n{line}\n")
    done = check(copy)
    assert done.returncode == 1
    (told,) = done.stderr.splitlines()[1:]
    assert told.startswith(f"./{file}:")
    assert told.endswith(line)
