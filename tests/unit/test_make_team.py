"""``make team``: what it writes into `.env`, and what it leaves."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from server.check_settings import DEVELOPMENT, wrong
from tests.support.commands import ROOT, completed

SECRETS = {
    *("AWS_SECRET_ACCESS_KEY", "MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD", "HOTSERVE_TOKEN"),
    "GRAFANA_PASSWORD",
    *("MLFLOW_SECRET_KEY", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_TRAINER_PASSWORD"),
    *("MLFLOW_HOTSERVE_PASSWORD", "MLFLOW_BATCH_PASSWORD"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Settings as they ship, of a project that has no data anywhere."""
    copy = tmp_path / "settings"
    shipped = (ROOT / ".env").read_text(encoding="utf-8")
    copy.write_text(f"{shipped}COMPOSE_PROJECT_NAME=of-a-test\n", encoding="utf-8")
    return copy


def make_team(
    file: Path, keyboard: int = subprocess.DEVNULL, /, **variables: str
) -> subprocess.CompletedProcess[str]:
    return completed(
        [str(ROOT / "deploy" / "make-team.sh"), str(file)],
        env={k: v for k, v in os.environ.items() if k != "COMPOSE_PROJECT_NAME"} | variables,
        stdin=keyboard,
    )


def settings(file: Path) -> dict[str, str]:
    return {
        name: value.strip("'")
        for name, value in re.findall(r"^([A-Z0-9_]+)=(.*)$", file.read_text("utf-8"), re.MULTILINE)
    }


def test_every_secret_is_strong_and_what_is_said_is_where_and_who(file: Path) -> None:
    done = make_team(file, PUBLIC_HOST="mlflow.example.org")
    assert done.returncode == 0, done.stderr
    new = settings(file)
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", new[name]) for name in SECRETS)
    assert len({new[name] for name in SECRETS}) == len(SECRETS)
    assert wrong(new) == []
    assert new["COMPOSE_FILE"] == "compose.yml:compose.team.yml"
    assert new["BIND_ADDRESS"] == "0.0.0.0"
    assert "https://mlflow.example.org:5000   user admin" in done.stdout
    assert new["MLFLOW_ADMIN_PASSWORD"] in done.stdout
    assert not any(new[name] in done.stdout for name in SECRETS if name.startswith("MYSQL"))


def test_a_file_that_compose_finds_by_itself_goes_on_counting(file: Path) -> None:
    file.with_name("compose.override.yml").write_text("services: {}\n")
    assert make_team(file, PUBLIC_HOST="localhost").returncode == 0
    wanted = "compose.yml:compose.override.yml:compose.team.yml"
    assert settings(file)["COMPOSE_FILE"] == wanted


def test_a_second_time_changes_nothing_and_needs_no_name(file: Path) -> None:
    assert make_team(file, PUBLIC_HOST="10.0.0.7").returncode == 0
    before = file.read_bytes()
    again = make_team(file)
    assert again.returncode == 0, again.stderr
    assert file.read_bytes() == before
    assert "https://10.0.0.7:8080" in again.stdout


def test_a_name_is_written_as_browsers_send_it(file: Path) -> None:
    assert make_team(file, PUBLIC_HOST="MLflow.Example.org").returncode == 0
    assert settings(file)["PUBLIC_HOST"] == "mlflow.example.org"


def test_a_newer_version_s_settings_and_the_own_are_merged_by_git(tmp_path: Path) -> None:
    """As `docs/backup.md` says: theirs has a newer image, and a setting more at its end."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"

    def git(folder: Path, line: str) -> None:
        name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        run = ["git", "-C", str(folder), *name, *line.split()]
        subprocess.run(run, check=True, capture_output=True)

    theirs.mkdir()
    shipped = (ROOT / ".env").read_text(encoding="utf-8")
    (theirs / ".env").write_text(shipped, encoding="utf-8")
    for line in ("init", "add --force .env", "commit -m one", f"clone . {ours}"):
        git(theirs, line)
    project = {"COMPOSE_PROJECT_NAME": "of-a-test"}
    assert make_team(ours / ".env", PUBLIC_HOST="localhost", **project).returncode == 0
    mine = settings(ours / ".env")
    newer = re.sub("^MYSQL_IMAGE=.*", "MYSQL_IMAGE=mysql:10", shipped, flags=re.MULTILINE)
    (theirs / ".env").write_text(f"{newer}ONE_MORE=1\n", encoding="utf-8")
    git(theirs, "commit -a -m two")

    page = (ROOT / "docs" / "backup.md").read_text("utf-8")
    commands = "git stash && git pull && git stash pop"
    assert commands in page
    for line in commands.split(" && "):
        git(ours, line.removeprefix("git "))
    assert settings(ours / ".env") == mine | {"MYSQL_IMAGE": "mysql:10", "ONE_MORE": "1"}
    assert make_team(ours / ".env", **project).returncode == 0
    assert stat.S_IMODE((ours / ".env").stat().st_mode) == 0o600


def test_at_a_terminal_it_asks_for_the_name(file: Path) -> None:
    typed, keyboard = os.openpty()
    os.write(typed, b"mlflow.example.org\n")
    done = make_team(file, keyboard)
    os.close(keyboard)
    os.close(typed)
    assert done.returncode == 0, done.stderr
    assert "people reach this machine by: " in done.stderr
    assert settings(file)["PUBLIC_HOST"] == "mlflow.example.org"


def test_other_overlays_and_strong_secrets_stay(file: Path) -> None:
    text = file.read_text("utf-8").replace("MYSQL_PASSWORD=" + DEVELOPMENT, "MYSQL_PASSWORD=my own")
    file.write_text(f"{text}COMPOSE_FILE=compose.yml:compose.external-s3.yml\n", encoding="utf-8")
    assert make_team(file, PUBLIC_HOST="localhost").returncode == 0
    new = settings(file)
    assert new["COMPOSE_FILE"] == "compose.yml:compose.external-s3.yml:compose.team.yml"
    assert new["MYSQL_PASSWORD"] == "my own"
    assert new["BIND_ADDRESS"] == "127.0.0.1"


def test_a_public_name_gets_its_certificate_over_ports_80_and_443(file: Path) -> None:
    assert make_team(file, PUBLIC_HOST="mlflow.example.org", TLS="a@example.org").returncode == 0
    assert settings(file)["TLS"] == "a@example.org"
    assert settings(file)["COMPOSE_FILE"] == "compose.yml:compose.team.yml:compose.acme.yml"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "which name do people reach this machine by?"),
        ({"PUBLIC_HOST": "https://mlflow.example.org"}, "must be a host's name"),
        ({"PUBLIC_HOST": "mlflow.example.org:5000"}, "must be a host's name"),
        ({"PUBLIC_HOST": "a|b"}, "must be a host's name"),
        ({"PUBLIC_HOST": "localhost", "TLS": "a'b"}, "must be internal, an e-mail address"),
    ],
)
def test_what_cannot_be_used_changes_nothing(
    file: Path, variables: dict[str, str], said: str
) -> None:
    before = file.read_bytes()
    done = make_team(file, **variables)
    assert done.returncode == 2
    assert said in done.stderr
    assert file.read_bytes() == before
