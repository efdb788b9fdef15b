"""`make reset LOCAL=yes`: what it deletes, what it leaves, and when it does not."""

import fcntl
import os
from pathlib import Path

import pytest

from local import reset


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with something of everything, and a file of the user's."""
    for name in (
        "mlflow.db",
        "mlflow.db.new",
        "artifacts/1/a",
        "hotserve/m",
        "logs/mlflow.log",
        "backup/lock",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "lock").touch()
    (tmp_path / "notas.txt").touch()
    monkeypatch.setenv("STACK_HOME", str(tmp_path))
    for name in ("VERSION", "FORCE", "MLFLOW_PORT", "SERVE_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def answer(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """Somebody is there, and types a word."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _prompt: word)


def left(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()}


def test_who_says_yes_begins_anew_and_keeps_what_is_not_the_stacks(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, "yes")
    assert reset.main() == 0
    assert left(home) == {"lock", "notas.txt"}
    # A folder of one of these names may be the user's own.
    names = "mlflow.db, mlflow.db.new, artifacts, hotserve, logs, backup"
    said = capsys.readouterr().out
    assert "? runs and ? versions of models" in said
    assert f"are deleted: {names}\n" in said


def test_who_says_anything_else_keeps_all(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left(home)
    answer(monkeypatch, "y")
    assert reset.main() == 2
    assert left(home) == before
    assert capsys.readouterr().err == "make reset: nothing was deleted\n"


def test_ctrl_c_in_place_of_an_answer_keeps_all(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_prompt: str) -> str:
        raise KeyboardInterrupt

    before = left(home)
    answer(monkeypatch, "")
    monkeypatch.setattr("builtins.input", interrupt)
    assert reset.main() == 130
    assert left(home) == before
    # What the terminal shows next begins a line of its own.
    assert capsys.readouterr().out.endswith("mlflow.db.new, artifacts, hotserve, logs, backup\n\n")


def test_ctrl_d_in_place_of_an_answer_keeps_all(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(_prompt: str) -> str:
        raise EOFError

    before = left(home)
    answer(monkeypatch, "")
    monkeypatch.setattr("builtins.input", end)
    assert reset.main() == 2
    assert left(home) == before
    assert capsys.readouterr().err == "make reset: nothing was deleted\n"


def test_where_nobody_is_there_an_explicit_yes_is_needed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert reset.main() == 2
    assert "FORCE=yes" in capsys.readouterr().err
    assert (home / "mlflow.db").exists()
    monkeypatch.setenv("FORCE", "yes")
    assert reset.main() == 0
    assert not (home / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("lock", "told"), [("lock", "stop it first"), ("backup/lock", "a backup of")]
)
def test_not_while_somebody_else_needs_the_data(
    home: Path,
    lock: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE", "yes")
    with (home / lock).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert reset.main() == 2
    assert told in capsys.readouterr().err
    assert (home / "mlflow.db").exists()


def test_one_that_was_cut_off_can_be_repeated(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE", "yes")
    (home / "mlflow.db").unlink()
    assert reset.main() == 0
    assert left(home) == {"lock", "notas.txt"}
    assert reset.main() == 2


@pytest.mark.parametrize(("force", "arguments"), [("", []), ("yes", ["--yes"])])
def test_to_go_back_to_version_1_the_trainer_asks_or_is_told_yes(
    home: Path,  # noqa: ARG001
    force: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []

    def execv(_: str, command: list[str]) -> None:
        begun.extend(command)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    monkeypatch.setenv("VERSION", "1")
    monkeypatch.setenv("FORCE", force)
    monkeypatch.setattr("os.execv", execv)
    reset.main()
    assert begun[1].endswith("trainer/reset.py")
    assert begun[2:] == arguments
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"


@pytest.mark.parametrize("version", ["2", "um"])
def test_only_version_1_can_be_gone_back_to(
    home: Path, version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERSION", version)
    monkeypatch.setenv("FORCE", "yes")
    assert reset.main() == 2
    assert capsys.readouterr().err.startswith(f"make reset: VERSION={version}: only 1")
    assert (home / "mlflow.db").exists()
