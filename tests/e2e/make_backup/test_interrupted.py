"""Backups and restores that are killed, find no room, or get no answer."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.e2e.hotserve_process import eventually
from tests.e2e.make_backup.backups import (
    Backups,
    elsewhere,
    files,
    needs_restic,
    ssh_of_a_user,
)
from tests.e2e.small_disk import small_disk
from tests.e2e.ssh_server import running_sshd
from tests.support.commands import program

pytestmark = needs_restic


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


def test_a_database_that_cannot_be_written_leaves_the_one_that_is_there(
    made: Backups, tmp_path: Path
) -> None:
    """As on a disk that is full by then; of a stack that was killed, half is in its journal."""
    journal = made.home / "mlflow.db-journal"
    journal.write_bytes(b"what belongs to it")
    before = (made.home / "mlflow.db").read_bytes()
    copy = f'case "$*" in *mlflow.db.new) echo half >{made.home}/mlflow.db.new; exit 1;; esac'
    program(tmp_path / "cp", f'{copy}\nexec {shutil.which("cp")} "$@"')
    done = made.make("restore", tmp_path, SNAPSHOT="latest", FORCE="yes")
    assert done.returncode
    assert "the database could not be written" in done.stderr
    assert (made.home / "mlflow.db").read_bytes() == before
    assert journal.exists()
    assert not (made.home / "mlflow.db.new").exists()
    assert made.make("restore", SNAPSHOT="latest", FORCE="yes").returncode == 0
    assert not journal.exists()


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
