"""`make bundle IMAGES=yes`, and the stack from it on an engine that has none of its images."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compose.conftest import Images
from tests.compose.small_registry import registry_with
from tests.compose.stack import IMAGE_TAG, Stack, docker, variables
from tests.e2e.git_repository import committed_clone
from tests.support.commands import ROOT, completed

pytestmark = pytest.mark.slow


def run(line: str, folder: Path, environment: dict[str, str]) -> str:
    done = completed(["bash", "-c", line], cwd=folder, env=environment, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.timeout(1800)
def test_the_stack_starts_from_a_bundle_also_where_images_are_named_by_digest(
    images: Images, new_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    if len(images.env_files) == 1:
        pytest.skip("which images there are is the registry's business here")
    clone = tmp_path / "clone"
    committed_clone(clone)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    plain = {k: v for k, v in os.environ.items() if k not in variables(ROOT / ".env")}
    tag = f"{IMAGE_TAG}-bundle"
    mysql = variables(images.env_files[1])["MYSQL_IMAGE"]
    with registry_with(mysql, "mysql:9.7", tmp_path / "registry") as by_digest:
        made_by = plain | {
            "COMPOSE_ENV_FILES": ",".join(map(str, images.env_files)),
            "COMPOSE_FILE": ":".join(file.name for file in images.files),
            "IMAGE_TAG": tag,
            "MYSQL_IMAGE": by_digest,
        }
        run("make bundle IMAGES=yes BUNDLE=../bundle.tar", clone, made_by)
    run("tar --extract --file bundle.tar && rm bundle.tar", tmp_path, plain)
    unpacked = tmp_path / "classificador-de-produtos"
    named = set(run("docker compose config --images", unpacked, plain).split())
    assert {name for name in named if not name.endswith(f":{tag}")} == {by_digest.partition("@")[0]}
    docker("rmi", "--force", by_digest, *named)

    stack = new_stack(IMAGE_TAG=tag)
    try:
        run("gunzip --stdout images.tar.gz | docker load", unpacked, plain)
        ports = {name: value for name, value in stack.settings.items() if name.endswith("_PORT")}
        run("make up", unpacked, plain | ports | {"COMPOSE_PROJECT_NAME": stack.project})
        stack.wait_trained()
        stack.wait_healthy()
        assert stack.classify() == "brinquedo"
    finally:
        stack.forget()
        docker("rmi", "--force", *named, check=False)
