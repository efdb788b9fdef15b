"""What `make` hands to the commands that it runs, and what it keeps from them."""

import os
import stat
from pathlib import Path

from tests.support.commands import ROOT, completed, program

SHOWN = 'shown: ; @echo "<$(or $(HOST),none)> <$(NAME)> <$(FORCE)>"; env'


def shown(*settings: str, **variables: str) -> list[str]:
    """What a target sees: three settings, and then its environment, a line each."""
    done = completed(
        ["make", "--no-print-directory", f"--eval={SHOWN}", "shown", *settings],
        cwd=ROOT,
        env={**os.environ, **variables},
        check=True,
    )
    return done.stdout.splitlines()


def test_what_the_shell_calls_by_a_settings_name_is_no_setting() -> None:
    """WSL sets NAME, conda and tcsh HOST; FORCE answers a question that nobody was asked."""
    first, *_ = shown(HOST="conda-linux", NAME="LAPTOP-1", FORCE="yes")
    assert first == "<none> <> <>"
    first, *_ = shown("HOST=0.0.0.0", "NAME=ana", "FORCE=yes")
    assert first == "<0.0.0.0> <ana> <yes>"


def test_a_registry_that_the_shell_names_for_something_else_is_not_asked() -> None:
    _, *environment = shown(MLFLOW_REGISTRY_URI="http://elsewhere:5000", MLFLOW_PORT="5001")
    assert "MLFLOW_PORT=5001" in environment
    assert not any(line.startswith("MLFLOW_REGISTRY_URI=") for line in environment)


def test_sheets_of_a_class_that_hold_the_only_passwords_are_not_written_over(
    tmp_path: Path,
) -> None:
    students, sheets = tmp_path / "students.txt", tmp_path / "class.md"
    students.write_text("Ana\n", "utf-8")

    def make(says: str) -> None:
        classroom = program(tmp_path / "bin" / "classroom", f"echo {says}")
        given = {"STUDENTS": students, "HAND_OUT": sheets, "CLASSROOM": classroom}
        settings = [f"{name}={value}" for name, value in given.items()]
        completed(["make", "class", *settings], cwd=ROOT, check=True)

    make("segredo")
    make("segredo")
    assert list(tmp_path.glob("class.md*")) == [sheets]
    make("the-one-you-have")
    (before,) = tmp_path.glob("class.md.*")
    assert before.read_text("utf-8") == "segredo\n"
    assert sheets.read_text("utf-8") == "the-one-you-have\n"
    assert {stat.S_IMODE(file.stat().st_mode) for file in (before, sheets)} == {0o600}
