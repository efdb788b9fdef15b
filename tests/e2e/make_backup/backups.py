"""A place for backups, and the programs that a user has."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.hotserve_process import eventually
from tests.e2e.ssh_server import SshServer
from tests.e2e.stack import make_command, make_run_environment, run_in_checkout
from tests.support.commands import ROOT, completed, program

needs_restic = pytest.mark.skipif(
    not (shutil.which("restic") and shutil.which("sqlite3")),
    reason="restic or sqlite3 is not installed (tests/install-tools.sh)",
)


@dataclass(frozen=True)
class Backups:
    """A place for backups, and the data folder that is kept there."""

    home: Path
    target: Path
    password: Path

    def settings(self) -> dict[str, object]:
        return {
            "LOCAL": "yes",
            "STACK_HOME": self.home,
            "BACKUP_TARGET": self.target,
            "BACKUP_PASSWORD_FILE": self.password,
        }

    def command(self, target: str, **more: object) -> list[str]:
        given = self.settings() | more
        return make_command(target, given)

    def make(
        self, target: str, programs: Path | None = None, **more: object
    ) -> subprocess.CompletedProcess[str]:
        command = self.command(target, **more)
        return run_in_checkout(command, env=with_programs(programs), stdin=subprocess.DEVNULL)

    def restic(self, *arguments: str) -> list[str]:
        """The lines that restic itself says of the place."""
        where = ["--repo", str(self.target), "--password-file", str(self.password), "--no-lock"]
        return completed(["restic", *where, *arguments], check=True).stdout.splitlines()

    def kept(self) -> list[str]:
        """The ids of the backups."""
        return self.restic("list", "snapshots")

    def killed(
        self, target: str, when: Callable[[], bool], programs: Path | None = None, **more: object
    ) -> None:
        """Start it, and kill it and all that it started as soon as that is so.

        Args:
            target: of make.
            when: to kill it.
            programs: a folder with programs that are taken before all others.
            more: settings.
        """
        process = subprocess.Popen(
            self.command(target, **more),
            cwd=ROOT,
            env=with_programs(programs),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

        def is_time() -> bool:
            assert process.poll() is None, "it ended before it could be killed"
            return when()

        eventually(is_time, "there was no moment to kill it")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def with_programs(programs: Path | None) -> dict[str, str]:
    """The variables of a user who has those programs before all others."""
    environment = make_run_environment()
    if programs:
        environment["PATH"] = f"{programs}:{environment['PATH']}"
    return environment


def ssh_of_a_user(folder: Path, server: SshServer) -> Path:
    """A folder with an ssh that has the keys, in place of the ~/.ssh of whoever runs this."""
    known = server.keys / "known_hosts"
    own = f"-i {server.keys / 'id_ed25519'} -o UserKnownHostsFile={known} -o BatchMode=yes"
    program(folder / "ssh", f'exec {shutil.which("ssh")} {own} "$@"')
    return folder


def elsewhere(made: Backups) -> Backups:
    """The same backups, for a data folder that has nothing."""
    return Backups(made.home.with_name("new"), made.target, made.password)


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
