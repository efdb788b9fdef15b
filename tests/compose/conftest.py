"""The stack in real containers. The tests run in the order in which a user lives through them.

They are skipped where no Docker engine answers. Where a machine can (root on Debian), they
run on base images built from packages; elsewhere on the images named in `.env`.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.compose import team as team_stack
from tests.compose.faults import Clocks, Faults, write_page
from tests.compose.stack import Stack, variables, wait_until
from tests.compose.team import PEOPLE, SERVICES, Team
from tests.compose.users import Users
from tests.e2e.conftest import free_port
from tests.support.commands import ROOT, completed


@dataclass(frozen=True)
class Images:
    """What the stacks are built from: env files and Compose files."""

    env_files: tuple[Path, ...]
    files: tuple[Path, ...]


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips where there is no Docker engine with Compose."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine answers (tests/compose/start-engine.sh starts one)")
    if subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("docker compose is not installed")


@pytest.fixture(scope="session")
def images(
    engine: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Images:
    """What stacks are built from."""
    return base_images(tmp_path_factory.mktemp("images") / "offline.env")


def base_images(offline: Path, *more: str) -> Images:
    """The base images; from packages where that can be done, with variables in the file `offline`.

    Args:
        offline: a file to write.
        more: what else to build.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return Images((ROOT / ".env",), (ROOT / "compose.yml",))
    done = completed([str(ROOT / "deploy" / "offline-images" / "build.sh"), *more])
    assert done.returncode == 0, done.stderr
    offline.write_text(done.stdout, encoding="utf-8")
    return Images((ROOT / ".env", offline), (ROOT / "compose.yml", ROOT / "compose.offline.yml"))


@pytest.fixture(scope="session")
def new_stack(images: Images) -> Iterator[Callable[..., Stack]]:
    """Makes stacks; all of them are removed with their data at the end."""
    made: list[Stack] = []

    def make(*more_files: Path, **settings: str) -> Stack:
        name = f"stacktest-{os.getpid()}-{secrets.token_hex(3)}"
        one = Stack(name, images.env_files, (*images.files, *more_files), settings)
        made.append(one)
        return one

    yield make
    for one in made:
        one.forget()


@pytest.fixture(scope="session")
def built(new_stack: Callable[..., Stack]) -> None:
    """The stack's own images, built once for all tests."""
    new_stack(ROOT / "compose.backup.yml").compose("build", "--quiet", timeout=1200)


@pytest.fixture(scope="session")
def stack(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
) -> Stack:
    """The stack that most tests look at, after its first start."""
    one = new_stack()
    one.compose("up", "--detach")
    one.wait_trained()
    one.wait_healthy()
    one.wait_answering()
    return one


@pytest.fixture(scope="session")
def team(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A team's stack, after the first steps of its page."""
    offline = variables(images.env_files[1]) if len(images.env_files) > 1 else {}
    names = [file.name for file in images.files]
    one = team_stack.clone(tmp_path_factory.mktemp("team"), offline, names)
    start, up = team_stack.commands("Start")
    try:
        one.said = one.run(start)
        one.run(up)
        for line in team_stack.commands("The certificate"):
            one.run(line)
        one.stack.wait_trained()
        yield one
    finally:
        one.stack.forget()


@pytest.fixture(scope="session")
def accounts(team: Team) -> dict[str, requests.Session]:
    """A session for each account, one of each role among them; nobody's is called ``nobody``."""
    sessions = {"nobody": team.session()}
    for role in PEOPLE:
        said = team.run(f"make user NAME=the-{role} ROLE={role}")
        sessions[role] = team.session(f"the-{role}", team.password_said(said))
    for name in ("admin", *SERVICES):
        sessions[name] = team.session(name, team.setting(f"MLFLOW_{name.upper()}_PASSWORD"))
    return sessions


@pytest.fixture(scope="session")
def faults(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Faults]:
    """A stack with users at work, and whoever breaks it; no finished run is lost to the end."""
    clocks = Clocks(tmp_path_factory.mktemp("clock"))
    one = new_stack(
        ROOT / "tests" / "compose" / "faults.yml",
        CADDY_PORT=str(free_port()),
        **clocks.settings(),
    )
    one.compose("up", "--detach", timeout=600)
    one.wait_trained()
    one.wait_healthy()
    one.wait_answering()
    with Users(one).at_work() as users:
        wait_until(partial(users.are_served_since, 0.0), "users to be served")
        breaking = Faults(one, users, clocks)
        yield breaking
    assert users.lost([*users.finished]) == []
    if os.environ.get("UPDATE_RELIABILITY"):
        write_page(breaking.cases)
    one.forget()


@pytest.fixture(scope="module")
def backup_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder for backups and a password of the test's own."""
    folder = tmp_path_factory.mktemp("backup")
    return {
        "BACKUP_FOLDER": str(folder / "backups"),
        "BACKUP_PASSWORD_FILE": str(folder / "backup.password"),
    }
