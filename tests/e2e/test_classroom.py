"""`make class` and what belongs to it: three students, each in a place of their own."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.e2e import tutorial_text
from tests.e2e.conftest import free_port, running
from tests.e2e.hotserve_process import CSV, PATIENCE, eventually
from tests.e2e.stack import Stack, make_command, make_run, make_run_environment, run_in_checkout
from tests.e2e.terminal import Terminal
from tests.e2e.tutorial_text import Program
from tests.support.commands import ROOT, completed

STUDENTS = ["Ana Lúcia", "Bia", "# faltou: Caio", "Zé"]
PLACES = ["ana-lucia", "bia", "ze"]
HEADS = "student runs failed best versions in Production answers last error"


@dataclass
class Teacher:
    """Somebody with `make run` and the list of a class.

    Attributes:
        stack: what runs.
        folder: with the list, and what is handed out.
        api_port: for `make class-api`.
    """

    stack: Stack
    folder: Path
    api_port: int

    @property
    def api(self) -> str:
        return f"http://localhost:{self.api_port}"

    def command(self, target: str, **more: object) -> list[str]:
        given = {
            "LOCAL": "yes",
            "MLFLOW_PORT": self.stack.mlflow_port,
            "API_PORT": self.api_port,
            "STUDENTS": self.folder / "students.txt",
            "HAND_OUT": self.folder / "class.md",
        } | more
        return make_command(target, given)

    def make(self, target: str, **more: object) -> subprocess.CompletedProcess[str]:
        return run_in_checkout(self.command(target, **more))

    def status(self) -> list[list[str]]:
        """The table of who is where, by rows."""
        shown = self.make("class-status")
        assert shown.returncode == 0, shown.stderr
        return [re.split(r"\s{2,}", line) for line in shown.stdout.splitlines()]

    def sheets(self) -> list[str]:
        """What each student gets."""
        text = (self.folder / "class.md").read_text("utf-8")
        return re.split(r"^(?=# )", text, flags=re.M)[1:]

    def ask(self, place: str) -> requests.Response:
        url = f"{self.api}/models/{place}/invocations"
        return requests.post(url, b"boneca de pano", headers=CSV, timeout=PATIENCE)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teacher]:
    folder = tmp_path_factory.mktemp("class")
    (folder / "students.txt").write_text("\n".join(STUDENTS), encoding="utf-8")
    with make_run(folder / "home", folder / "output") as stack:
        stack.wait_until_ready()
        yield Teacher(stack, folder, free_port())


@pytest.fixture(scope="module")
def api(teacher: Teacher) -> Iterator[None]:
    """The class's API, as the teacher starts it."""
    environment = make_run_environment() | {"HOTSERVE_CACHE": str(teacher.folder / "cache")}
    command, log = teacher.command("class-api"), teacher.folder / "api.log"
    with running(command, f"{teacher.api}/ping", environment, folder=ROOT, log=log):
        yield


def type_in(sheet: str, command: str) -> str:
    """What a student does in a new terminal: paste what the sheet says, and then a command."""
    (pasted,) = re.findall(r"```sh\n(.*?)```", sheet, re.S)
    with Terminal(ROOT, {"LINGUA": "en"}) as terminal:
        code, printed = terminal.type_in(f"{pasted}{command}")
    assert code == 0, printed
    return printed


def test_a_sheet_for_each_student(teacher: Teacher) -> None:
    assert "there is no place yet" in teacher.make("class-status").stderr
    made = teacher.make("class")
    assert made.returncode == 0, made.stderr
    assert made.stdout == (teacher.folder / "class.md").read_text("utf-8")
    sheets = teacher.sheets()
    assert [sheet.splitlines()[0] for sheet in sheets] == ["# Ana Lúcia", "# Bia", "# Zé"]
    for sheet, place in zip(sheets, PLACES, strict=True):
        address = f"http://localhost:{teacher.stack.mlflow_port}"
        assert f"export MLFLOW_TRACKING_URI={address}\n" in sheet
        assert f"{address}/#/models/{place}\n" in sheet
        assert f"{teacher.api}/models/{place}/\n" in sheet
    again = teacher.make("class")
    assert (again.returncode, again.stdout) == (0, made.stdout)
    portuguese = teacher.make("class", LINGUA="pt", HAND_OUT=teacher.folder / "turma.md").stdout
    assert "- o seu modelo: " in portuguese
    assert re.findall(r"http\S+", portuguese) == re.findall(r"http\S+", made.stdout)


def test_a_list_that_is_no_good_leaves_what_was_handed_out(teacher: Teacher) -> None:
    before = teacher.sheets()
    twins = teacher.folder / "twins.txt"
    twins.write_text("Bia\nbia\n")
    refused = teacher.make("class", STUDENTS=twins)
    assert refused.returncode == 2
    assert "line 2, bia: Bia has the place bia already" in refused.stderr
    assert "name a file" in teacher.make("class", STUDENTS=teacher.folder / "none").stderr
    assert teacher.sheets() == before
    assert not list(teacher.folder.glob("*.new"))


@pytest.mark.usefixtures("api")
def test_students_work_side_by_side_and_the_teacher_sees_how_far_they_are(
    teacher: Teacher,
) -> None:
    ana, bia, _ = teacher.sheets()
    printed = type_in(ana, ".venv/bin/python trainer/sweep.py")
    assert "registered as ana-lucia version 1, Production" in printed
    type_in(bia, ".venv/bin/python trainer/train.py")
    # By the address on the sheet.
    (line,) = re.findall(r"`(curl .*?)`", ana)
    eventually(lambda: teacher.ask("ana-lucia").ok, "Ana's model does not answer")
    asked = completed(["bash", "-c", line], check=True)
    assert "brinquedo" in asked.stdout

    heads, *rows = teacher.status()
    assert " ".join(heads) == HEADS
    assert rows[0] == ["Ana Lúcia", "11", "0", "0.9792", "1", "1", "1"]
    assert (rows[1][:3], rows[1][4:]) == (["Bia", "1", "0"], ["0", "–", "–"])
    assert rows[2] == ["Zé", "0", "0", "–", "0", "–", "–"]
    # What the teacher has is not theirs.
    assert len(teacher.stack.versions()) == 1


@pytest.mark.usefixtures("api")
def test_a_model_that_does_not_start_is_seen_and_is_nobody_elses_trouble(
    teacher: Teacher, tmp_path: Path
) -> None:
    exercises = tutorial_text.read(ROOT / "docs" / "exercises.pt-BR.md").steps()
    (broken,) = (s for s in exercises if isinstance(s, Program) and s.name == "quebrado.py")
    program = tmp_path / broken.name
    program.write_text(broken.text.replace('"classificador-produtos"', '"bia"'), encoding="utf-8")
    bia = teacher.sheets()[1]
    type_in(bia, f".venv/bin/python {program}")
    type_in(bia, ".venv/bin/python trainer/promote.py --version 1")

    def is_told() -> bool:
        return "faltou o arquivo de palavras" in teacher.status()[2][-1]

    eventually(is_told, "nobody is told why Bia's model does not start")
    assert teacher.ask("bia").status_code == 503
    assert teacher.ask("ana-lucia").json()["predictions"] == ["brinquedo"]


def test_without_the_api_the_rest_is_shown(teacher: Teacher) -> None:
    shown = teacher.make("class-status", API_PORT=free_port())
    assert shown.returncode == 0
    assert "make class-api starts" in shown.stderr
    assert len(shown.stdout.splitlines()) == 4
