"""What the three Dockerfiles have to agree on, since no tool makes them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = [
    ROOT / "Dockerfile",
    ROOT / "trainer" / "Dockerfile",
    ROOT / "classificador-produtos" / "Dockerfile",
]


def base_stage(file: Path) -> str:
    return file.read_text(encoding="utf-8").split("# --- base")[1].split("# --- end of base")[0]


def test_the_base_stage_is_the_same_so_that_it_is_built_and_stored_once() -> None:
    stages = {base_stage(file) for file in DOCKERFILES}
    assert len(stages) == 1
    assert "--require-hashes" in stages.pop()


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_the_base_image_is_pinned_and_the_one_of_the_settings(file: Path) -> None:
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", file.read_text(), flags=re.MULTILINE)
    assert default
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", default[1])
    assert f"PYTHON_IMAGE={default[1]}\n" in (ROOT / ".env").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_it_ends_as_a_user_that_is_not_root(file: Path) -> None:
    users = re.findall(r"^USER (\S+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert users[-1:] == ["10001:10001"]
