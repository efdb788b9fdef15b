"""A class without logins in containers: places, one API, the teacher's list, and back again."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient

from tests.compose.stack import MODEL, Stack, docker, wait_until
from tests.compose.traffic import traffic
from tests.e2e.hotserve_models import Registry
from tests.support.commands import ROOT, completed

# MLflow has deprecated stages, and asks for type hints.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*transition_model_version_stage"),
    pytest.mark.filterwarnings("ignore:.*type hint"),
]

GREEDY = """\
import mlflow


class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        held = []
        while model_input.iloc[0, 0] == "tudo":
            held.append(b"x" * (64 << 20))
        return ["pouco"] * len(model_input)


mlflow.models.set_model(Model())
"""


@dataclass
class Room:
    """The stack of a class, and the teacher's folder."""

    stack: Stack
    folder: Path

    def make_class(self) -> list[str]:
        """The sheets."""
        (self.folder / "students.txt").write_text("Ana Lúcia\nBia\n", encoding="utf-8")
        said = self.stack.make(
            "class",
            f"STUDENTS={self.folder / 'students.txt'}",
            f"HAND_OUT={self.folder / 'class.md'}",
            f"ADDRESS={self.stack.mlflow_url}",
            f"API={self.stack.serve_url}",
        )
        assert said == (self.folder / "class.md").read_text("utf-8")
        return re.split(r"^(?=# )", said, flags=re.M)[1:]

    def status(self) -> list[list[str]]:
        """The teacher's list, by rows."""
        lines = self.stack.make("class-status").splitlines()
        return [re.split(r"\s{2,}", line) for line in lines]

    def type_in(self, sheet: str, program: str) -> str:
        """What a student does in a new terminal: paste what the sheet says, and then a command."""
        (pasted,) = re.findall(r"```sh\n(.*?)```", sheet, re.S)
        done = completed(
            ["bash", "-c", f"set -e\n{pasted}{sys.executable} {program}"],
            cwd=ROOT,
            env=self.stack.environment(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, place: str, text: str = "boneca de pano") -> requests.Response:
        url = f"{self.stack.serve_url}/models/{place}/invocations"
        body = {"dataframe_split": {"columns": ["texto"], "data": [[text]]}}
        return requests.post(url, json=body, timeout=600)

    def classify(self, place: str) -> str:
        """The category of a doll by a student's model."""
        answer = self.ask(place)
        assert answer.status_code == 200, answer.text
        (category,) = answer.json()["predictions"]
        return str(category)


@pytest.fixture(scope="module")
def room(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Room]:
    stack = new_stack(ROOT / "compose.class.yml", LINGUA="en")
    stack.compose("up", "--detach", timeout=600)
    stack.wait_trained()
    stack.wait_healthy()
    yield Room(stack, tmp_path_factory.mktemp("class"))
    stack.forget()


@pytest.fixture(scope="module")
def sheets(room: Room) -> list[str]:
    return room.make_class()


def test_a_student_trains_and_is_served_and_the_teacher_sees_it(
    room: Room, sheets: list[str]
) -> None:
    ana, _ = sheets
    assert "registered as ana-lucia version 1, Production" in room.type_in(ana, "trainer/sweep.py")
    wait_until(lambda: room.ask("ana-lucia").ok, "Ana's model to be served")
    (line,) = re.findall(r"`(curl .*?)`", ana)
    asked = completed(["bash", "-c", line], check=True)
    assert asked.stdout == '{"predictions": ["brinquedo"]}\n'
    _, first, second = room.status()
    assert first == ["Ana Lúcia", "11", "0", "0.9792", "1", "1", "1"]
    assert second == ["Bia", "0", "0", "–", "0", "–", "–"]


def test_a_model_that_takes_all_memory_is_nobody_elses_trouble(room: Room, tmp_path: Path) -> None:
    script = tmp_path / "guloso.py"
    script.write_text(GREEDY, encoding="utf-8")
    saved = tmp_path / "model"
    mlflow.pyfunc.save_model(saved, python_model=str(script), pip_requirements=["mlflow"])
    registry = Registry(room.stack.mlflow_url)
    registry.move("bia", registry.register_folder("bia", saved), "Production")
    wait_until(lambda: room.ask("bia").ok, "Bia's model to be served")
    with traffic(lambda: room.classify("ana-lucia")) as answers:
        refused = room.ask("bia", "tudo")
    assert refused.status_code == 503
    message = refused.json()["message"]
    assert "process ended" in message or "is being started again" in message
    assert answers.good
    assert not answers.bad
    wait_until(lambda: room.ask("bia").ok, "Bia's model to come back")
    assert room.stack.state("classificador-produtos")["RestartCount"] == 0


def test_back_to_version_1_leaves_the_students_alone(room: Room) -> None:
    client = MlflowClient(room.stack.mlflow_url)
    run = client.get_run(str(client.get_model_version(MODEL, "1").run_id))
    assert run.outputs is not None
    model = run.outputs.model_outputs[-1].model_id
    client.create_model_version(MODEL, f"models:/{model}", run.info.run_id, model_id=model)
    before = room.status()

    refused = room.stack.try_make("reset", "VERSION=1")
    assert refused.returncode == 2
    assert "1 later versions" in refused.stdout
    assert "FORCE=yes" in refused.stderr
    assert len(room.stack.versions()) == 2
    room.stack.make("reset", "VERSION=1", "FORCE=yes")
    (version,) = room.stack.versions()
    assert (version["version"], version["current_stage"]) == ("1", "Production")
    wait_until(lambda: room.ask(MODEL).ok, "version 1 to answer")
    assert room.status() == before


@pytest.mark.usefixtures("sheets")
def test_without_the_api_it_is_told_how_to_start_it_here(room: Room) -> None:
    room.stack.compose("stop", "classificador-produtos")
    shown = room.stack.try_make("class-status")
    assert shown.returncode == 0, shown.stderr
    assert len(shown.stdout.splitlines()) == 3
    assert "in containers make up, with compose.class.yml in COMPOSE_FILE" in shown.stderr
    room.stack.compose("start", "classificador-produtos")


def test_everything_goes_and_the_next_start_begins_anew(room: Room) -> None:
    def volumes() -> str:
        label = f"label=com.docker.compose.project={room.stack.project}"
        return docker("volume", "ls", "--quiet", "--filter", label)

    refused = room.stack.try_make("reset")
    assert refused.returncode == 2
    assert "db_volume minio_volume" in refused.stdout
    assert room.ask("ana-lucia").ok
    assert volumes()
    room.stack.make("reset", "FORCE=yes")
    assert volumes() == ""
    assert room.stack.compose("ps", "--all", "--quiet") == ""

    room.stack.compose("up", "--detach", timeout=600)
    room.stack.wait_trained()
    assert [one["version"] for one in room.stack.versions()] == ["1"]
    assert "there is no place yet" in room.stack.try_make("class-status").stderr
