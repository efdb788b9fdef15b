"""A team's stack, made as `docs/team.md` says, in a clone of its own."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.compose.stack import IMAGE_TAG, PORTS, Stack, variables
from tests.e2e.conftest import free_port
from tests.support.commands import ROOT, completed

PAGE = ROOT / "docs" / "team.md"
PEOPLE = ("reader", "scientist", "promoter")
SERVICES = ("trainer", "hotserve", "batch")
ACCOUNTS = (*PEOPLE, "admin", *SERVICES)


def commands(heading: str, page: Path = PAGE) -> list[str]:
    """The lines of the page's ```sh blocks below a heading."""
    section = page.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]


def allowed() -> dict[str, dict[str, str]]:
    """The page's table: what each account may, by row and account."""
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in PAGE.read_text("utf-8").split("\n| may |")[1].split("\n\n")[0].splitlines()
    ]
    return {row[0]: dict(zip(rows[0], row[1:], strict=True)) for row in rows[2:]}


@dataclass
class Team:
    """The clone's folder, and the stack that is started from it."""

    folder: Path
    stack: Stack
    said: str = ""

    def run(self, line: str, **more: str) -> str:
        """One line of a shell in the clone, which has to succeed; what it says.

        The page's ports are those of a machine that has nothing else on them.
        """
        done = self.try_run(line, **more)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def try_run(self, line: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The same, whatever comes of it."""
        line = line.replace(":5000", f":{self.port('MLFLOW_PORT')}")
        line = line.replace(":8080", f":{self.port('SERVE_PORT')}")
        return completed(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment() | more,
            stdin=subprocess.DEVNULL,
            timeout=1200,
        )

    def environment(self) -> dict[str, str]:
        """This process's variables but for those that Compose or MLflow would listen to."""
        own = set(variables(ROOT / ".env"))
        kept = {k: v for k, v in os.environ.items() if k not in own and "MLFLOW" not in k}
        return kept | {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}", "NO_PROXY": "*"}

    def port(self, name: str) -> str:
        return self.setting(name)

    def setting(self, name: str) -> str:
        """What the clone's `.env` says."""
        return variables(self.folder / ".env")[name].strip("'")

    @property
    def mlflow_url(self) -> str:
        return f"https://localhost:{self.port('MLFLOW_PORT')}"

    @property
    def serve_url(self) -> str:
        return f"https://localhost:{self.port('SERVE_PORT')}"

    @property
    def certificate(self) -> Path:
        return self.folder / "root.crt"

    def session(self, name: str = "", password: str = "") -> requests.Session:
        """What asks with this account, or as nobody, and trusts the stack's authority."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.certificate)
        if name:
            session.auth = (name, password)
        return session

    def password_said(self, said: str) -> str:
        """The one that `make user` said."""
        return said.strip().rpartition(" ")[2]


def clone(folder: Path, offline: Mapping[str, str], files: list[str]) -> Team:
    """The files of the repository as they are here, with the tests' ports and images in `.env`."""
    listed = completed(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    project = f"teamtest-{os.getpid()}"
    settings = {"COMPOSE_PROJECT_NAME": project, "IMAGE_TAG": IMAGE_TAG, **offline}
    settings |= {name: str(free_port()) for name in PORTS} | {"HOTSERVE_ACCESS_LOG": "true"}
    if len(files) > 1:
        settings["COMPOSE_FILE"] = ":".join(files)
    file = folder / ".env"
    kept = [
        line
        for line in file.read_text("utf-8").splitlines()
        if line.partition("=")[0] not in settings
    ]
    lines = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    file.write_text("\n".join([*kept, *lines, ""]), encoding="utf-8")
    compose = [folder / name for name in (*files, "compose.team.yml")]
    return Team(folder, Stack(project, [file], compose, settings))
