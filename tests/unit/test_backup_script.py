"""`make backup` and `make upgrade` of the containers: what is done when a step of them fails.

Docker is played by a script here, which writes down what it is asked for. What the container does
is done with a small folder, as of `make run`.
"""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROOT, completed, program
from tests.support.fake_docker import FakeDocker

ANSWERS = """\
  *"ps --quiet --status running") echo one ;;
  *"config --images") printf '%s\\n' ours/mlflow:1 ours/trainer:1 theirs/mysql:9 ;;
  *"backup make"*) [[ $MAKE != 0 ]] || echo abcd; exit "$MAKE" ;;
  *"build --quiet") exit "$BUILD" ;;
  *"server.with_mysql upgrade") exit "$MIGRATE" ;;
  *"backup restore abcd") exit "$RESTORE" ;;
"""
WELL = {"MAKE": "0", "BUILD": "0", "MIGRATE": "0", "RESTORE": "0"}
BACK = ["tag ours/mlflow:1-before ours/mlflow:1", "tag ours/trainer:1-before ours/trainer:1"]


@pytest.fixture
def docker(tmp_path: Path) -> FakeDocker:
    return FakeDocker(tmp_path, ANSWERS)


def stack(docker: FakeDocker, command: str, **ends: str) -> subprocess.CompletedProcess[str]:
    """Do it where the steps end with those codes."""
    folder = docker.calls.parent
    settings = {
        "IMAGE_PREFIX": "ours",
        "BACKUP_FOLDER": str(folder / "backups"),
        "BACKUP_PASSWORD_FILE": str(folder / "password"),
    }
    script = ROOT / "deploy" / "backup" / "stack.sh"
    return docker.run(script, command, **{**settings, **WELL, **ends})


def asked(docker: FakeDocker) -> list[str]:
    """What was asked of Docker."""
    lines = docker.calls.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("compose --progress quiet ") for line in lines]


@pytest.mark.parametrize(("code", "times"), [(0, 0), (1, 0), (137, 1)])
def test_of_a_backup_that_was_killed_it_is_said(docker: FakeDocker, code: int, times: int) -> None:
    done = stack(docker, "backup", MAKE=str(code))
    assert done.returncode == code
    assert sum(line.endswith(" backup killed") for line in asked(docker)) == times


def test_a_folder_in_the_users_home_is_the_one_that_compose_takes(docker: FakeDocker) -> None:
    home = docker.calls.parent / "home"
    done = stack(docker, "backup", HOME=str(home), BACKUP_FOLDER="~/backups")
    assert done.returncode == 0, done.stderr
    assert (home / "backups").is_dir()


@pytest.mark.skipif(
    not (shutil.which("restic") and shutil.which("sqlite3")),
    reason="restic or sqlite3 is not installed (tests/install-tools.sh)",
)
def test_a_home_that_the_shell_left_to_us_is_the_users(tmp_path: Path) -> None:
    """As `make run` reads it."""
    (tmp_path / "dados").mkdir()
    with sqlite3.connect(tmp_path / "dados" / "mlflow.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("CREATE TABLE runs (run_uuid TEXT)")
        database.execute("CREATE TABLE registered_models (name TEXT)")
    database.close()
    settings = {
        "HOME": str(tmp_path),
        "STACK_HOME": "~/dados",
        "BACKUP_TARGET": "~/kept",
        "BACKUP_PASSWORD_FILE": "~/password",
    }
    script = ROOT / "deploy" / "backup" / "local.sh"
    done = completed([script, "backup"], env=os.environ | settings)
    assert done.returncode == 0, done.stderr
    assert {each.name for each in tmp_path.iterdir()} >= {"dados", "kept", "password"}
    assert not (ROOT / "~").exists()


def test_without_a_backup_nothing_is_upgraded(docker: FakeDocker) -> None:
    done = stack(docker, "upgrade", MAKE="137")
    assert done.returncode == 1
    assert "without a backup there is no upgrade" in done.stderr
    assert "build --quiet" not in asked(docker)


def test_images_that_could_be_built_beside_one_that_could_not_are_not_left(
    docker: FakeDocker,
) -> None:
    done = stack(docker, "upgrade", BUILD="1")
    assert done.returncode == 1
    assert "they could not be built: nothing was changed" in done.stderr
    lines = asked(docker)
    after = lines[lines.index("build --quiet") :]
    assert [line for line in after if line.startswith("tag ")] == BACK
    assert not any(line.startswith(("stop", "up ")) for line in lines)


@pytest.mark.parametrize("restore", [0, 3])
def test_one_that_fails_ends_with_everything_started_as_before(
    docker: FakeDocker, restore: int
) -> None:
    """3: a file is missing that was missing before, too."""
    done = stack(docker, "upgrade", MIGRATE="1", RESTORE=str(restore))
    assert done.returncode == 1
    assert "going back to backup abcd" in done.stderr
    assert "all is as it was before" in done.stderr
    lines = asked(docker)
    after = lines[lines.index("compose logs --tail 10 mlflow classificador-produtos") :]
    assert [line for line in after if line.startswith("tag ")] == BACK
    assert "up --detach" in after


@pytest.mark.parametrize("signal", ["INT", "TERM"])
@pytest.mark.parametrize("step", ["build --quiet", "server.with_mysql upgrade"])
def test_one_that_is_ended_half_way_goes_back(tmp_path: Path, step: str, signal: str) -> None:
    """And a second Ctrl-C does not end that."""
    ended = (
        f'  *"{step}") [[ "$*" == *backup ]] || {{ kill -{signal} $PPID; sleep 0.2; exit 0; }} ;;\n'
    )
    ends_again = f'  *"stop mlflow") kill -{signal} $PPID ;;\n' if "upgrade" in step else ""
    docker = FakeDocker(tmp_path, ended + ends_again + ANSWERS)
    done = stack(docker, "upgrade")
    assert done.returncode == 1, done.stderr
    assert "nothing was changed" in done.stderr or "all is as it was before" in done.stderr
    lines = asked(docker)
    after = lines[next(n for n, line in enumerate(lines) if line.endswith(step)) :]
    assert [line for line in after if line.startswith("tag ")] == BACK
    assert ("up --detach" in after) == ("upgrade" in step)


def test_a_connection_that_is_lost_ends_nothing(tmp_path: Path) -> None:
    lost = '  *"server.with_mysql upgrade") kill -HUP $PPID; sleep 0.2; exit 0 ;;\n'
    docker = FakeDocker(tmp_path, lost + ANSWERS)
    done = stack(docker, "upgrade")
    assert done.returncode == 0, done.stderr
    assert "done; backup abcd is what was there before" in done.stderr


def test_a_backup_that_cannot_be_restored_is_named(docker: FakeDocker) -> None:
    done = stack(docker, "upgrade", MIGRATE="1", RESTORE="1")
    assert done.returncode == 1
    assert "make restore SNAPSHOT=abcd FORCE=yes" in done.stderr
    assert "up --detach" not in asked(docker)


def test_one_that_goes_well_says_where_the_data_of_before_are(docker: FakeDocker) -> None:
    done = stack(docker, "upgrade")
    assert done.returncode == 0, done.stderr
    assert "done; backup abcd is what was there before" in done.stderr
    assert not set(BACK) & set(asked(docker))


@pytest.mark.skipif(
    not (shutil.which("restic") and shutil.which("sqlite3")),
    reason="restic or sqlite3 is not installed (tests/install-tools.sh)",
)
def test_prometheus_is_told_what_became_of_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("certa", encoding="utf-8")
    (tmp_path / "other").write_text("errada", encoding="utf-8")
    (tmp_path / "metrics").mkdir()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    database.close()

    def tells(command: str, password: str = "password") -> tuple[str, str]:
        """When one went well, and whether the last one did."""
        environment = os.environ | {
            "BACKUP_OF": "sqlite-folder",
            "BACKUP_WORK": str(tmp_path / "work"),
            "BACKUP_METRICS": str(tmp_path / "metrics"),
            "STACK_HOME": str(tmp_path),
            "RESTIC_REPOSITORY": str(tmp_path / "kept"),
            "RESTIC_PASSWORD_FILE": str(tmp_path / password),
        }
        script = str(ROOT / "deploy" / "backup" / "backup.sh")
        subprocess.run([script, command], cwd=ROOT, env=environment, check=False)
        lines = (tmp_path / "metrics" / "backup.prom").read_text("utf-8").splitlines()
        figures = dict(line.split() for line in lines)
        return figures["backup_last_success_timestamp_seconds"], figures["backup_last_run_success"]

    when, success = tells("make")
    assert success == "1"
    assert tells("make", "other") == (when, "0")
    when, success = tells("make")
    assert success == "1"
    # Of one that was killed another one tells.
    assert tells("killed") == (when, "0")


def test_before_the_first_backup_it_is_told_what_makes_the_password(tmp_path: Path) -> None:
    environment = os.environ | {
        "BACKUP_OF": "sqlite-folder",
        "BACKUP_WORK": str(tmp_path / "work"),
        "STACK_HOME": str(tmp_path),
        "RESTIC_REPOSITORY": str(tmp_path / "kept"),
        "RESTIC_PASSWORD_FILE": str(tmp_path / "backup.password"),
    }
    for command in (["list"], ["restore", "latest"]):
        done = completed(
            [str(ROOT / "deploy" / "backup" / "backup.sh"), *command], cwd=ROOT, env=environment
        )
        assert done.returncode == 2
        assert f"there is no {tmp_path}/backup.password: `make backup` makes it" in done.stderr


def test_the_container_is_let_read_the_key_where_backups_go_by_ssh(docker: FakeDocker) -> None:
    keys = docker.calls.parent / "keys"
    keys.mkdir()
    (keys / "id_ed25519").touch(mode=0o600)
    done = stack(docker, "backup", BACKUP_SSH_FOLDER=str(keys))
    assert done.returncode == 0, done.stderr
    assert not any("/ssh" in line for line in asked(docker)), "no backup goes by SSH here"
    target = {"BACKUP_TARGET": "sftp:ana@host:/kept", "BACKUP_SSH_FOLDER": str(keys)}
    stack(docker, "backup", **target)
    (lets,) = (line for line in asked(docker) if f"--volume {keys}:/ssh" in line)
    assert lets.endswith("backup -c chgrp -R 10001 /ssh && chmod -R g=rX /ssh")


needs_sqlite = pytest.mark.skipif(
    not shutil.which("sqlite3"), reason="sqlite3 is not installed (tests/install-tools.sh)"
)


def backup_with(backup: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Make one where `restic backup` is that line of a shell, and its other commands do nothing."""
    (folder / "password").write_text("certa", encoding="utf-8")
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    database.close()
    restic = program(folder / "bin" / "restic", f'[ "$1" = backup ] || exit 0\n{backup}')
    (folder / "kept").mkdir()
    return completed(
        [ROOT / "deploy" / "backup" / "backup.sh", "make"],
        env={
            **os.environ,
            "PATH": f"{restic.parent}:{os.environ['PATH']}",
            "BACKUP_OF": "sqlite-folder",
            "BACKUP_WORK": str(folder / "work"),
            "STACK_HOME": str(folder),
            "RESTIC_REPOSITORY": str(folder / "kept"),
            "RESTIC_PASSWORD_FILE": str(folder / "password"),
            **more,
        },
    )


@needs_sqlite
@pytest.mark.parametrize(
    "said",
    [
        "Fatal: unable to save snapshot: disk full\n\tgolang.org/x/sync/errgroup.go:72 +0xa5",
        'Save failed\n{"code":1,"message":"Fatal: unable to save snapshot: disk full"}',
        "disk full",
    ],
)
def test_of_what_restic_says_the_line_that_tells_why_is_told(tmp_path: Path, said: str) -> None:
    done = backup_with('printf "%s\\n" "$SAID" >&2; exit 1', tmp_path, SAID=said)
    assert done.returncode == 1
    *_, why, last = done.stderr.splitlines()
    assert why.startswith(f"backup: restic could not write to {tmp_path / 'kept'}: ")
    assert why.endswith(": disk full")
    assert last == "backup: no backup was made"


@needs_sqlite
@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("", ""),
        ("Save(<data/0a1b>) failed: write /kept/0a1b: disk full", "write /kept/0a1b: disk full; "),
        ("Save(<data/0a1b>) returned error, retrying after 9.1s: refused\nother", "refused; "),
    ],
)
def test_a_restic_that_waits_for_ever_is_ended(tmp_path: Path, said: str, complaint: str) -> None:
    waits = 'printf "%s\\n" "$SAID" >&2; exec sleep 3600'
    done = backup_with(waits, tmp_path, SAID=said, BACKUP_STALL_SECONDS="1")
    assert done.returncode == 1
    *_, why, last = done.stderr.splitlines()
    start = f"backup: restic could not write to {tmp_path / 'kept'}: {complaint}"
    assert why.startswith(f"{start}no data moved for 1 s: make room, where ")
    assert why.endswith("B are free, or see why it does not answer")
    assert last == "backup: no backup was made"


@needs_sqlite
def test_a_restic_that_crashes_leaves_no_trace_of_its_stack(tmp_path: Path) -> None:
    trace = "panic: nil pointer\\n\\ngoroutine 48 [running]:\\n\\tx.go:72 +0xa5\\n"
    crashes = f'printf "{trace}" >&2; exit 2'
    done = backup_with(crashes, tmp_path)
    assert done.returncode == 1
    *_, why, _ = done.stderr.splitlines()
    start = f"backup: restic could not write to {tmp_path / 'kept'}: it crashed: make room, where "
    assert why.startswith(start)
    assert "goroutine" not in done.stderr


@needs_sqlite
@pytest.mark.parametrize("seconds", ["10m", "dez", "0"])
def test_how_long_it_may_wait_is_a_number_of_seconds(tmp_path: Path, seconds: str) -> None:
    """With another one none was ever ended, or each was at once."""
    done = backup_with("exit 0", tmp_path, BACKUP_STALL_SECONDS=seconds)
    assert done.returncode == 2
    line = f"backup: BACKUP_STALL_SECONDS={seconds}: must be a whole number of seconds\n"
    assert done.stderr == line


@needs_sqlite
def test_one_that_moves_data_slowly_is_not(tmp_path: Path) -> None:
    slowly = "for i in $(seq 14); do sleep 0.5; head -c 200000 /dev/zero | cat >/dev/null; done"
    done = backup_with(slowly, tmp_path, BACKUP_STALL_SECONDS="5")
    assert done.returncode == 0, done.stderr
