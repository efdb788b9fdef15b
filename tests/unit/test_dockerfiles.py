"""What the Dockerfile's images have to be, since no tool makes them."""

import re

import pytest

from tests.support.commands import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
STAGES = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S))
FILES = dict.fromkeys(("mlflow", "trainer", "classificador-produtos"), "compose.yml")
FILES |= {"backup": "compose.backup.yml", "spark": "compose.spark.yml"}


def test_there_is_one_base_and_each_python_image_stands_on_it() -> None:
    assert list(STAGES) == ["base", *FILES]
    parents = ["${PYTHON_IMAGE}", *["base"] * 3, "${BACKUP_IMAGE}", "trainer"]
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.M) == parents


def test_backup_stands_on_the_pinned_image_unless_the_settings_name_another() -> None:
    assert "\nARG BACKUP_IMAGE=${PYTHON_IMAGE}\n" in DOCKERFILE
    compose = (ROOT / "compose.backup.yml").read_text(encoding="utf-8")
    assert "BACKUP_IMAGE: ${BACKUP_IMAGE:-${PYTHON_IMAGE}}\n" in compose


def test_whatever_is_installed_is_checked_against_hashes() -> None:
    installs = re.findall(r"\bpip install\b.*", DOCKERFILE)
    assert len(installs) == 4
    assert all("--require-hashes" in line for line in installs)


def test_the_base_image_is_pinned_and_the_one_of_the_settings() -> None:
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, flags=re.MULTILINE)
    assert default
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", default[1])
    assert f"PYTHON_IMAGE={default[1]}\n" in (ROOT / ".env").read_text(encoding="utf-8")


@pytest.mark.parametrize("image", FILES)
def test_it_ends_as_a_user_that_is_not_root(image: str) -> None:
    assert re.findall(r"^USER (\S+)$", STAGES[image], flags=re.MULTILINE)[-1] == "10001:10001"


def test_what_is_copied_can_be_read_by_the_images_user_whatever_the_umask_of_the_clone() -> None:
    files = [ROOT / "Dockerfile", *(ROOT / "deploy" / "offline-images").glob("*/Dockerfile")]
    copies = [
        line
        for file in files
        for line in re.findall(r"^COPY (?!--from).*", file.read_text("utf-8"), flags=re.M)
    ]
    assert len(copies) > 8
    assert [line for line in copies if not re.match(r"COPY --chmod=(755|644) ", line)] == []


@pytest.mark.parametrize("image", FILES)
def test_compose_builds_it_from_its_stage(image: str) -> None:
    compose = (ROOT / FILES[image]).read_text(encoding="utf-8")
    assert f"target: {image}\n" in compose
