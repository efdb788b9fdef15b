"""A class in a team's stack: a login each, that sees its own place and no other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.compose.stack import MODEL, wait_until
from tests.compose.team import Team

STUDENTS = "Ana Lúcia\nBia\n"
API = "/api/2.0/mlflow"


@dataclass
class Student:
    """What somebody has in hand: the sheet, and with it an account and a token."""

    team: Team
    place: str
    sheet: str

    @property
    def password(self) -> str:
        return str(re.findall(r"^export MLFLOW_TRACKING_PASSWORD=(.*)$", self.sheet, re.M)[0])

    @property
    def session(self) -> requests.Session:
        return self.team.session(self.place, self.password)

    @property
    def experiment(self) -> str:
        return str(re.findall(r"/experiments/(\d+)/", self.sheet)[0])

    def get(self, path: str, **asked: str) -> requests.Response:
        return self.session.get(f"{self.team.mlflow_url}{API}/{path}", params=asked, timeout=60)

    def post(self, path: str, **body: str) -> requests.Response:
        return self.session.post(f"{self.team.mlflow_url}{API}/{path}", json=body, timeout=60)

    def ask(self, place: str) -> requests.Response:
        """The class's API, by the line of the sheet but for whose model it is."""
        token = re.findall(r"Authorization: (Bearer [^']+)'", self.sheet)[0]
        return self.team.session().post(
            f"{self.team.serve_url}/models/{place}/invocations",
            "boneca de pano",
            headers={"Authorization": token, "Content-Type": "text/csv"},
            timeout=60,
        )


def make_class(team: Team) -> list[Student]:
    (team.folder / "students.txt").write_text(STUDENTS, encoding="utf-8")
    team.run(f"make class STUDENTS=students.txt ADDRESS={team.mlflow_url} API={team.serve_url}")
    sheets = re.split(r"^(?=# )", (team.folder / "class.md").read_text("utf-8"), flags=re.M)[1:]
    places = [re.findall(r"REGISTERED_MODEL_NAME=(.*)", sheet)[0] for sheet in sheets]
    return [Student(team, *both) for both in zip(places, sheets, strict=True)]


@pytest.fixture(scope="module")
def students(team: Team) -> list[Student]:
    return make_class(team)


@pytest.fixture(scope="module")
def class_api(team: Team) -> Iterator[None]:
    """The stack's API with compose.class.yml, and afterwards as it was."""
    start = "docker compose up --detach --no-deps classificador-produtos"
    files = f"{team.setting('COMPOSE_FILE')}:compose.class.yml"
    team.run(start, COMPOSE_FILE=files)
    yield
    team.run(start)


def test_each_sees_the_own_place_and_no_other(students: list[Student]) -> None:
    ana, bia = students
    assert ana.password != bia.password
    mine = {"experiment_id": ana.experiment}
    assert ana.get("experiments/get", **mine).status_code == 200
    assert bia.get("experiments/get", **mine).status_code == 403
    assert bia.post("runs/create", **mine).status_code == 403
    assert bia.get("registered-models/get", name="ana-lucia").status_code == 403
    assert bia.get("registered-models/get", name=MODEL).status_code == 403
    assert bia.post("registered-models/create", name="outro").status_code == 403
    # Clients ask for it before each version, and go on where it is there.
    there = ana.post("registered-models/create", name="ana-lucia")
    assert there.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
    assert bia.post("registered-models/create", name="ana-lucia").status_code == 403
    assert bia.post("experiments/create", name="outro").status_code == 403
    seen = ana.get("experiments/search", max_results="100").json()["experiments"]
    assert [one["name"] for one in seen] == ["ana-lucia"]
    seen = ana.get("registered-models/search").json()["registered_models"]
    assert [one["name"] for one in seen] == ["ana-lucia"]


def test_what_is_handed_out_again_has_no_password_and_takes_none_away(
    team: Team, students: list[Student]
) -> None:
    again = make_class(team)
    assert [student.password for student in again] == ["the-one-you-have"] * 2
    assert (team.folder / "class.md").stat().st_mode & 0o077 == 0
    assert students[0].get("experiments/get", experiment_id=students[0].experiment).ok


@pytest.mark.slow
@pytest.mark.usefixtures("class_api")
def test_a_student_trains_and_is_served_and_the_teacher_sees_it(
    team: Team, students: list[Student], accounts: dict[str, requests.Session]
) -> None:
    ana, bia = students
    (pasted,) = re.findall(r"```sh\n(.*?)```", ana.sheet, re.S)
    said = team.run(f"{pasted}export REQUESTS_CA_BUNDLE=$PWD/root.crt\npython trainer/sweep.py")
    assert "ana-lucia version 1" in said

    version = {"name": "ana-lucia", "version": "1"}
    assert bia.get("model-versions/get", **version).status_code == 403
    move = "model-versions/transition-stage"
    assert bia.post(move, **version, stage="Archived").status_code == 403
    url = f"{team.mlflow_url}{API}"
    teacher = accounts["promoter"]
    seen = teacher.get(f"{url}/model-versions/get", params=version, timeout=60)
    assert seen.json()["model_version"]["current_stage"] == "Production"
    for stage in ("Staging", "Production"):
        body = version | {"stage": stage}
        assert teacher.post(f"{url}/{move}", json=body, timeout=60).status_code == 200

    wait_until(lambda: ana.ask("ana-lucia").ok, "Ana's model to be served")
    assert ana.ask("ana-lucia").json()["predictions"] == ["brinquedo"]
    assert bia.ask("ana-lucia").status_code == 403
    assert ana.ask(MODEL).status_code == 403
    files = f"{team.setting('COMPOSE_FILE')}:compose.class.yml"
    _, first, second = team.run("make class-status", COMPOSE_FILE=files).splitlines()
    assert re.split(r"\s{2,}", first)[:7] == ["Ana Lúcia", "11", "0", "0.9792", "1", "1", "1"]
    assert second.split()[0] == "Bia"
