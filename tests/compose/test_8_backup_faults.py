"""Backups that are killed, find no room, or are refused; and one by SSH."""

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.compose.backups import backup_containers, metrics
from tests.compose.stack import Stack, this_machine, wait_until
from tests.compose.stack import docker as run_docker
from tests.e2e.small_disk import resize, small_disk
from tests.e2e.ssh_server import running_sshd

# As soon as restic has written something that was not there.
KILL_WHILE_IT_WRITES = """
written() { find /backups/data -type f | wc -l; }
before=$(written)
until (($(written) > before)); do :; done
kill -9 -1
"""


@contextmanager
def a_large_file(stack: Stack) -> Iterator[None]:
    """100 MB in the bucket that no backup has yet."""
    url = f"{stack.mlflow_url}/api/2.0/mlflow-artifacts/artifacts/grande.bin"
    requests.put(url, data=os.urandom(100_000_000), timeout=300).raise_for_status()
    try:
        yield
    finally:
        stack.s3().delete_object(Bucket=stack.setting("AWS_BUCKET_NAME"), Key="grande.bin")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_is_reached_by_ssh(
    stack: Stack, backup_settings: dict[str, str], tmp_path: Path
) -> None:
    with running_sshd(tmp_path / "ssh", this_machine()) as server:
        settings = backup_settings | {
            "BACKUP_TARGET": server.target(tmp_path / "far"),
            "BACKUP_SSH_FOLDER": str(server.keys),
        }
        kept = stack.make("backup", "CHECK=yes", settings=settings).strip()
        assert kept in stack.make("backups", settings=settings)
        image = f"classificador-de-produtos/backup:{stack.setting('IMAGE_TAG')}"
        inside = run_docker("run", "--rm", "--entrypoint", "ls", image, "/opt/backup")
        assert "ssh" not in inside.split(), "a key could be in the image"

        for file in ("known_hosts", "id_ed25519"):
            content = (server.keys / file).read_bytes()
            (server.keys / file).write_bytes(b"")
            done = stack.try_make("backup", settings=settings)
            assert "Error 1" in done.stderr
            # And why, unless restic ends before it has read what ssh says.
            assert f"{settings['BACKUP_TARGET']} cannot be used: " in done.stderr
            assert "backup: no backup was made" in done.stderr
            (server.keys / file).write_bytes(content)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_backup_that_is_killed_is_none_and_the_next_one_is_whole(
    stack: Stack, backup_settings: dict[str, str]
) -> None:
    stack.make("backup", settings=backup_settings)
    before = stack.make("backups", settings=backup_settings)
    with a_large_file(stack), ThreadPoolExecutor() as pool:
        backup = pool.submit(stack.try_make, "backup", settings=backup_settings)
        (container,) = wait_until(lambda: backup_containers(stack), "the backup to begin")
        run_docker("exec", container, "bash", "-c", KILL_WHILE_IT_WRITES, check=False)
        done = backup.result()
        assert "Error 137" in done.stderr
        assert "backup: it was killed: no backup was made" in done.stderr
        assert not done.stdout
        assert metrics(stack)["backup_last_run_success"] == 0
        assert stack.make("backups", settings=backup_settings) == before

        kept = stack.make("backup", "CHECK=yes", settings=backup_settings).strip()
    assert kept in stack.make("backups", settings=backup_settings)
    assert metrics(stack)["backup_last_run_success"] == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_target_is_a_failure_that_keeps_what_was_there(
    stack: Stack, backup_settings: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    with small_disk(folder, 400):
        settings = backup_settings | {"BACKUP_FOLDER": str(folder), "BACKUP_STALL_SECONDS": "60"}
        first = stack.make("backup", settings=settings).strip()
        before = stack.make("backups", settings=settings)
        resize(folder, (shutil.disk_usage(folder).used >> 20) + 40)
        with a_large_file(stack):
            free = shutil.disk_usage(folder).free
            for _ in range(2):
                done = stack.try_make("backup", settings=settings)
                assert "Error 1" in done.stderr
                # restic says so, waits for ever, or crashes.
                why = r"restic could not .*: .*(no space left on device|make room, where \d+MB)"
                assert re.search(why, done.stderr), done.stderr
                assert "backup: no backup was made" in done.stderr
                assert not done.stdout
                assert metrics(stack)["backup_last_run_success"] == 0
                assert stack.make("backups", settings=settings) == before
                assert shutil.disk_usage(folder).free > free - 1_000_000
            resize(folder, 400)
            second = stack.make("backup", "CHECK=yes", settings=settings).strip()
        assert metrics(stack)["backup_last_run_success"] == 1
        after = stack.make("backups", settings=settings)
        assert first in after
        assert second in after


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_wrong_password_is_called_that_and_changes_nothing(
    stack: Stack, backup_settings: dict[str, str], tmp_path: Path
) -> None:
    stack.make("backup", settings=backup_settings)
    before = stack.make("backups", settings=backup_settings)
    started = stack.state("mlflow")["StartedAt"]
    (tmp_path / "other").write_text("errada", encoding="utf-8")
    wrong = backup_settings | {"BACKUP_PASSWORD_FILE": str(tmp_path / "other")}
    reason = "backup: the password does not open /backups: it was made with another"
    for target, *arguments in (
        ("backup",),
        ("backups",),
        ("restore", "SNAPSHOT=latest", "FORCE=yes"),
    ):
        done = stack.try_make(target, *arguments, settings=wrong)
        assert "Error 2" in done.stderr
        said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
        assert said[0].startswith(reason)
        assert said[1:] == (["backup: no backup was made"] if target == "backup" else [])
        assert not done.stdout
    assert metrics(stack)["backup_last_run_success"] == 0
    assert stack.state("mlflow")["StartedAt"] == started
    assert stack.make("backups", settings=backup_settings) == before

    stack.make("backup", settings=backup_settings)
    assert metrics(stack)["backup_last_run_success"] == 1
