"""What is kept is restored, and what cannot be is said."""

import re
import shutil
import sqlite3
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.e2e.make_backup.backups import Backups, elsewhere, files, needs_restic, ssh_of_a_user
from tests.e2e.ssh_server import running_sshd
from tests.e2e.stack import make_run, make_run_environment, run_in_checkout
from tests.support.commands import ROOT

pytestmark = needs_restic


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


def test_a_folder_that_calls_itself_a_cache_is_kept_too(made: Backups) -> None:
    """As one that a model's files were downloaded to, and that is logged with it."""
    cache = made.home / "artifacts" / "1" / "modelo" / ".cache"
    cache.mkdir(parents=True)
    (cache / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n", "utf-8")
    (cache / "weights.bin").write_bytes(b"1")
    assert made.make("backup").returncode == 0
    new = elsewhere(made)
    assert new.make("restore", SNAPSHOT="latest").returncode == 0
    assert files(new.home / "artifacts") == files(made.home / "artifacts")


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


def test_nobody_who_says_which_one_is_a_line(made: Backups) -> None:
    done = elsewhere(made).make("restore")
    assert done.returncode == 2
    assert "nothing was restored: nobody said which; SNAPSHOT=latest does" in done.stderr


def test_a_restic_that_the_user_has_for_something_else_is_not_asked(
    made: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept,) = made.kept()
    monkeypatch.setenv("RESTIC_PASSWORD_COMMAND", "echo outra")
    monkeypatch.setenv("RESTIC_REPOSITORY_FILE", "/etc/restic/repository")
    done = made.make("backups")
    assert done.returncode == 0, done.stderr
    assert kept[:8] in done.stdout


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
