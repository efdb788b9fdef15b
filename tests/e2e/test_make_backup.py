"""`make backup` and `make restore` of what `make run` keeps, with what can go wrong on the way."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest

from tests.e2e.hotserve_process import eventually
from tests.e2e.small_disk import small_disk
from tests.e2e.ssh_server import SshServer, running_sshd
from tests.e2e.stack import ROOT, make_command, make_run, make_run_environment, run_in_checkout
from tests.support.commands import completed

pytestmark = pytest.mark.skipif(
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


def program(file: Path, script: str) -> None:
    """Write a program that is a shell's script."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


def ssh_of_a_user(folder: Path, server: SshServer) -> Path:
    """A folder with an ssh that has the keys, in place of the ~/.ssh of whoever runs this."""
    known = server.keys / "known_hosts"
    own = f"-i {server.keys / 'id_ed25519'} -o UserKnownHostsFile={known} -o BatchMode=yes"
    program(folder / "ssh", f'exec {shutil.which("ssh")} {own} "$@"')
    return folder


@pytest.fixture(scope="module")
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


def elsewhere(made: Backups) -> Backups:
    """The same backups, for a data folder that has nothing."""
    return Backups(made.home.with_name("new"), made.target, made.password)


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_restored_folder_serves_what_the_other_did(made: Backups, tmp_path: Path) -> None:
    new = elsewhere(made)
    done = new.make("restore", SNAPSHOT="latest")
    assert done.returncode == 0, done.stderr
    assert "all files are there that the database names" in done.stderr
    assert files(new.home / "artifacts") == files(made.home / "artifacts")
    with make_run(new.home, tmp_path / "output") as again:
        again.wait_until_ready()
        assert again.predict("boneca de pano") == ["brinquedo"]
        assert [version["version"] for version in again.versions()] == ["1"]
        assert len(again.runs()) == 10


def test_the_guide_word_for_word(made: Backups) -> None:
    guide = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
    block = re.search(r"## Without containers.*?```sh\n(.*?)```", guide, re.DOTALL)
    assert block
    lines = block[1].splitlines()
    assert len(lines) == 3
    for line in lines:
        one = elsewhere(made) if "restore" in line else made
        settings = [f"{name}={value}" for name, value in one.settings().items() if name != "LOCAL"]
        done = run_in_checkout([*line.split(), *settings])
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert files(elsewhere(made).home / "artifacts") == files(made.home / "artifacts")


def test_it_asks_which_one(made: Backups) -> None:
    new = elsewhere(made)
    done = run_in_checkout(new.command("restore"), input=f"{made.kept()[0][:8]}\n")
    assert done.returncode == 0, done.stderr
    assert made.kept()[0][:8] in done.stdout
    assert (new.home / "mlflow.db").exists()


def test_data_are_not_replaced_unasked(made: Backups) -> None:
    before = (made.home / "mlflow.db").read_bytes()
    done = made.make("restore", SNAPSHOT="latest")
    assert done.returncode == 2
    assert "FORCE=yes" in done.stderr
    assert (made.home / "mlflow.db").read_bytes() == before
    assert made.make("restore", SNAPSHOT="latest", FORCE="yes").returncode == 0


def test_a_missing_file_is_named(made: Backups) -> None:
    for model in made.home.glob("artifacts/*/models/*/artifacts"):
        shutil.rmtree(model)
    assert made.make("backup").returncode == 0
    done = elsewhere(made).make("restore", SNAPSHOT="latest")
    assert "of version 1 classificador-produtos" in done.stderr
    assert "Error 3" in done.stderr


def test_what_could_not_be_looked_at_is_not_called_whole(made: Backups) -> None:
    with sqlite3.connect(made.home / "mlflow.db") as database:
        database.execute("ALTER TABLE logged_models RENAME COLUMN artifact_location TO elsewhere")
    database.close()
    assert made.make("backup").returncode == 0
    done = elsewhere(made).make("restore", SNAPSHOT="latest")
    assert done.returncode != 0
    assert "nothing is said of its files" in done.stderr
    assert "all files are there" not in done.stderr


def test_a_wrong_password_is_called_that(made: Backups, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("errada", encoding="utf-8")
    before = files(made.target)
    for target in ("backup", "backups", "restore"):
        done = Backups(made.home, made.target, other).make(target, SNAPSHOT="latest", FORCE="yes")
        assert done.returncode == 2
        assert "the password does not open" in done.stderr
        assert "errada" not in done.stderr
    assert files(made.target) == before


def test_an_id_that_is_none_changes_nothing(made: Backups) -> None:
    new = elsewhere(made)
    done = new.make("restore", SNAPSHOT="abcdef12")
    assert done.returncode == 2
    assert f"these are kept: {made.kept()[0][:8]}" in done.stderr
    assert not (new.home / "mlflow.db").exists()


def test_a_backup_that_is_killed_is_none_and_the_next_one_is_whole(made: Backups) -> None:
    (made.home / "artifacts" / "grande.bin").write_bytes(os.urandom(50_000_000))
    locks = made.target / "locks"
    # Not the file that is about to become one.
    made.killed("backup", lambda: any(len(one.name) == 64 for one in locks.iterdir()))
    assert made.restic("list", "locks"), "restic has left its lock behind"
    assert len(made.kept()) == 1
    done = made.make("backup", CHECK="yes")
    assert done.returncode == 0, done.stderr
    assert not made.restic("list", "locks")
    assert done.stdout.strip()[:8] in {one[:8] for one in made.kept()}


def test_a_restore_that_is_killed_is_none_and_the_next_one_is_whole(
    made: Backups, tmp_path: Path
) -> None:
    new = elsewhere(made)
    # It gets as far as copying the files to their place, and no further.
    copying = tmp_path / "copying"
    program(tmp_path / "cp", f": >{copying}\nexec sleep 3600")
    new.killed("restore", copying.exists, tmp_path, SNAPSHOT="latest")
    assert not (new.home / "mlflow.db").exists()
    done = new.make("restore", SNAPSHOT="latest")
    assert done.returncode == 0, done.stderr
    assert files(new.home / "artifacts") == files(made.home / "artifacts")


def test_a_full_target_is_a_failure_that_keeps_what_was_there(
    made: Backups, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", 30):
        small = Backups(made.home, tmp_path / "small" / "kept", made.password)
        first = small.make("backup")
        assert first.returncode == 0, first.stderr
        large = made.home / "artifacts" / "grande.bin"
        large.write_bytes(os.urandom(40_000_000))
        free = shutil.disk_usage(tmp_path / "small").free
        for _ in range(2):
            done = small.make("backup", BACKUP_STALL_SECONDS=60)
            assert done.returncode
            # restic says so, waits for ever, or crashes.
            assert re.search(
                r"no space left on device|make room, where \d+MB are free", done.stderr
            )
            assert "no backup was made" in done.stderr
            assert [one[:8] for one in small.kept()] == [first.stdout.strip()[:8]]
            assert shutil.disk_usage(tmp_path / "small").free > free - 1_000_000
        assert elsewhere(small).make("restore", SNAPSHOT="latest").returncode == 0
        large.unlink()
        assert small.make("backup", CHECK="yes").returncode == 0


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_s3_that_never_answers_is_a_failure(made: Backups) -> None:
    with silent_server() as address:
        target = f"s3:http://{address}/kept"
        done = made.make("backup", BACKUP_TARGET=target, BACKUP_STALL_SECONDS=5)
    assert done.returncode
    assert f"backup: {target} cannot be used: no data moved for 5 s: " in done.stderr
    assert "see why it does not answer\nbackup: no backup was made" in done.stderr


@pytest.mark.slow
def test_a_server_that_stops_answering_while_it_is_written_to_is_a_failure(
    made: Backups, tmp_path: Path
) -> None:
    far = tmp_path / "far"
    with running_sshd(tmp_path / "ssh") as server:
        settings = {"BACKUP_TARGET": server.target(far)}
        programs = ssh_of_a_user(tmp_path / "programs", server)
        first = made.make("backup", programs, **settings)
        assert first.returncode == 0, first.stderr
        (made.home / "artifacts" / "grande.bin").write_bytes(os.urandom(200_000_000))
        with ThreadPoolExecutor() as pool:
            limit = {"BACKUP_STALL_SECONDS": 30}
            backup = pool.submit(made.make, "backup", programs, **settings, **limit)

            def is_under_way() -> bool:
                assert not backup.done(), "it ended before the server fell silent"
                return any((far / "locks").iterdir())

            eventually(is_under_way, "it does not begin")
            sessions = psutil.Process(server.pid).children(recursive=True)
            for session in sessions:
                session.suspend()
            done = backup.result()
        assert done.returncode
        assert "no data moved for 30 s: make room, or see why it does not answer" in done.stderr
        assert "no backup was made" in done.stderr
        lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
        assert not [line for line in lines if str(server.keys) in line], "an ssh was left behind"
        for session in sessions:
            session.kill()

        kept = made.make("backup", programs, CHECK="yes", **settings)
        assert kept.returncode == 0, kept.stderr
        listed = made.make("backups", programs, **settings).stdout
        assert first.stdout.strip() in listed
        assert kept.stdout.strip() in listed


def test_a_backup_that_is_kept_is_not_called_none_when_older_ones_stay(
    made: Backups, tmp_path: Path
) -> None:
    script = f'[ "$1" != forget ] || exit 1\nexec {shutil.which("restic")} "$@"'
    program(tmp_path / "restic", script)
    before = made.kept()
    done = made.make("backup", programs=tmp_path)
    assert done.returncode
    (new,) = set(made.kept()) - set(before)
    assert f"backup {new[:8]}" in done.stderr
    assert "is kept, but older ones could not be removed" in done.stderr
    assert "no backup was made" not in done.stderr


def test_a_server_is_reached_by_ssh(made: Backups, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "ssh") as server:
        settings = {"BACKUP_TARGET": server.target(tmp_path / "far")}
        programs = ssh_of_a_user(tmp_path / "programs", server)
        done = made.make("backup", programs, CHECK="yes", **settings)
        assert done.returncode == 0, done.stderr
        new = elsewhere(made)
        done = new.make("restore", programs, SNAPSHOT="latest", **settings)
        assert done.returncode == 0, done.stderr
        assert files(new.home / "artifacts") == files(made.home / "artifacts")

        (server.keys / "known_hosts").write_bytes(b"")
        done = made.make("backup", programs, **settings)
        assert done.returncode
        # And why, unless restic ends before it has read what ssh says.
        assert f"{settings['BACKUP_TARGET']} cannot be used: " in done.stderr
        assert "no backup was made" in done.stderr


@pytest.mark.slow
def test_a_month_of_nights_leaves_what_the_settings_say(made: Backups) -> None:
    """Seven days, four weeks and as many months as there are, the last backup of each."""
    # The first one's own date would be among them.
    shutil.rmtree(made.target)
    first = date(2026, 1, 30)
    environment = make_run_environment() | {
        "STACK_HOME": str(made.home),
        "BACKUP_OF": "sqlite-folder",
        "BACKUP_WORK": str(made.home / "backup"),
        "RESTIC_REPOSITORY": str(made.target),
        "RESTIC_PASSWORD_FILE": str(made.password),
    }
    for night in range(31):
        day = first + timedelta(days=night)
        script = ROOT / "deploy" / "backup" / "backup.sh"
        done = run_in_checkout([script, "make", "--time", f"{day} 03:00:00"], env=environment)
        assert done.returncode == 0, done.stderr
    listed = "\n".join(made.restic("snapshots", "--compact"))
    last = [first + timedelta(days=night) for night in range(30 - 6, 31)]
    assert last[-1] == date(2026, 3, 1)
    sundays = [date(2026, 2, 8), date(2026, 2, 15), date(2026, 2, 22), date(2026, 3, 1)]
    months = [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 1)]
    for day in {*last, *sundays, *months}:
        assert f"{day} 03:00:00" in listed
    assert len(made.kept()) == len({*last, *sundays, *months})
