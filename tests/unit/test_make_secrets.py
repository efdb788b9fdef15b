"""``make secrets``: strong passwords in place of the development ones."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROOT, completed, program

SECRETS = {"AWS_SECRET_ACCESS_KEY", "MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD", "GRAFANA_PASSWORD"}


def make_secrets(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return completed(
        [str(ROOT / "deploy" / "make-secrets.sh"), *arguments], env=os.environ | variables
    )


def settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, flags=re.MULTILINE))


def test_only_the_passwords_change_and_each_is_strong_and_its_own(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    before = (ROOT / ".env").read_text(encoding="utf-8")
    file.write_text(before, encoding="utf-8")
    done = make_secrets("--force", str(file))
    assert done.returncode == 0, done.stderr
    after = file.read_text(encoding="utf-8")

    old, new = settings(before), settings(after)
    assert {name for name in old if old[name] != new[name]} == SECRETS
    assert len({new[name] for name in SECRETS}) == len(SECRETS)
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", new[name]) for name in SECRETS)
    assert not any(new[name] in done.stdout + done.stderr for name in SECRETS)
    comments = [line for line in before.splitlines() if line.startswith("#")]
    assert [line for line in after.splitlines() if line.startswith("#")] == comments
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_no_secret_is_in_a_command_line(tmp_path: Path) -> None:
    """A `sed` that writes its arguments down."""
    seen = tmp_path / "seen"
    script = f'echo "$*" >>{seen}\nexec {shutil.which("sed")} "$@"'
    sed = program(tmp_path / "bin" / "sed", script)
    file = tmp_path / "settings"
    file.write_bytes((ROOT / ".env").read_bytes())
    done = make_secrets("--force", str(file), PATH=f"{sed.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    new = settings(file.read_text(encoding="utf-8"))
    assert str(file) in seen.read_text("utf-8")
    assert not any(new[name] in seen.read_text("utf-8") for name in SECRETS)


def test_a_file_without_a_setting_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("MYSQL_PASSWORD=old\n", encoding="utf-8")
    done = make_secrets("--force", str(file))
    assert done.returncode == 2
    assert "AWS_SECRET_ACCESS_KEY" in done.stderr
    assert file.read_text(encoding="utf-8") == "MYSQL_PASSWORD=old\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    done = make_secrets(str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("line", ["COMPOSE_PROJECT_NAME=two", "COMPOSE_PROJECT_NAME='two'"])
def test_data_of_a_project_that_the_file_names_are_seen(tmp_path: Path, line: str) -> None:
    """A `docker` that knows one volume, and a file that names its project."""
    program(tmp_path / "docker", '[ "$1" = info ] || [ "$3" = two_db_volume ]')
    path = f"{tmp_path}:{os.environ['PATH']}"
    file = tmp_path / "settings"
    plain = (ROOT / ".env").read_text(encoding="utf-8")

    file.write_text(f"{plain}\n{line}\n", encoding="utf-8")
    refused = make_secrets(str(file), PATH=path)
    assert refused.returncode == 2
    assert "the stack has data" in refused.stderr
    assert file.read_text(encoding="utf-8") == f"{plain}\n{line}\n"

    file.write_text(plain, encoding="utf-8")
    assert make_secrets(str(file), PATH=path).returncode == 0
    refused = make_secrets(str(file), PATH=path, COMPOSE_PROJECT_NAME="two")
    assert refused.returncode == 2
    assert "the stack has data" in refused.stderr


def test_a_strong_password_is_not_lost_where_docker_does_not_say_whether_data_need_it(
    tmp_path: Path,
) -> None:
    """As where the engine is down, or only root may use it."""
    program(tmp_path / "docker", "exit 1")
    path = f"{tmp_path}:{os.environ['PATH']}"
    file = tmp_path / "settings"
    file.write_bytes((ROOT / ".env").read_bytes())
    assert make_secrets(str(file), PATH=path).returncode == 0
    strong = file.read_bytes()
    refused = make_secrets(str(file), PATH=path)
    assert refused.returncode == 2
    assert "no Docker engine answers" in refused.stderr
    assert file.read_bytes() == strong
    assert make_secrets("--force", str(file), PATH=path).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_with_sudo_the_file_stays_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_bytes((ROOT / ".env").read_bytes())
    os.chown(file, 1234, 1234)
    assert make_secrets("--force", str(file)).returncode == 0
    assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (1234, 0o600)
