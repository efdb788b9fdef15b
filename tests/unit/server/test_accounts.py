"""What `make user` refuses before it asks MLflow; `tests/compose/test_team_*` try the rest."""

from http.server import HTTPServer
from io import StringIO

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS

from server import accounts
from tests.e2e.conftest import free_port
from tests.support.threads import Quiet, serving


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the service `accounts`, with nobody at MLflow's address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-long-password")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "ana", "chief"], "ROLE=chief: must be one of reader, scientist, promoter, admin"),
        (["add", "ana", ""], "ROLE=: must be one of"),
        (["add", "", "reader"], "NAME=: must be letters, digits"),
        (["add", "-x", "reader"], "NAME=-x: must be letters, digits"),
        (["add", "hotserve", "admin"], "and not a service's name"),
        (["remove", "admin"], "NAME=admin: nobody of that name can be removed"),
        (
            ["remove"],
            "usage: python -m server.accounts [list | add",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert accounts.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("arguments", [[], ["list"], ["add", "ana", "reader"]])
def test_a_stack_that_is_down_is_said(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert accounts.main(arguments) == 1
    assert capsys.readouterr().err == "accounts: MLflow does not answer: is the stack up?\n"


def test_an_mlflow_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(Quiet):
        def do_GET(self) -> None:
            self.send_error(500)

    with serving(HTTPServer(("127.0.0.1", 0), Failing)) as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        assert accounts.main(["list"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("accounts: MLflow did not do it: 500 Server Error")


def test_what_mlflow_refuses_is_one_line_without_what_was_to_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> str:
        raise MlflowException("User (username=ana) already exists.\n[parameters: ('scrypt:…')]")

    monkeypatch.setattr(accounts, "add", refuse)
    assert accounts.main(["add", "ana", "reader"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("User (username=ana) already exists.")


def test_who_may_only_read_has_no_right_to_write() -> None:
    for name in ("reader", "hotserve"):
        assert {grant[2] for grant in accounts.GRANTS[name]} == {"READ"}
        assert name not in accounts.MAKERS
    assert ("registered_model_version", "*", "READ") in accounts.PEOPLE["scientist"]


class Client:
    """What `make class` asks of MLflow's users; `there` has an account already."""

    def __init__(self, **there: str) -> None:
        self.users, self.granted = {"hotserve": "hotserve", **there}, list[tuple[str, ...]]()
        # None: nobody can be removed either.
        self.fails_for = set[str | None]()

    def create_user(self, name: str, password: str) -> None:
        self.users[name] = password

    def grant_user_permission(self, *grant: str) -> None:
        if grant[0] in self.fails_for:
            raise MlflowException("the database is locked\n[SQL: …]")
        self.granted.append(grant)
        if self.users[grant[0]] == accounts.NO_ROLE:
            raise MlflowException("there", RESOURCE_ALREADY_EXISTS)

    def delete_user(self, name: str) -> None:
        if None in self.fails_for:
            raise MlflowException("still locked")
        del self.users[name]

    def list_roles(self, _workspace: str) -> list[object]:
        raise MlflowException("the database is locked\n[SQL: …]")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client(bia=accounts.NO_ROLE, rui="scientist")
    monkeypatch.setattr(accounts, "_users", lambda client: dict(client.users))
    return client


def test_a_sheet_gets_a_password_for_the_own_place_and_who_has_one_keeps_it(client: Client) -> None:
    sheets = "a={password|ana|2|yours} b='{password|ana|2|yours}'\n{password|bia|3|yours}\n"
    filled = accounts.students(client, sheets)  # type: ignore[arg-type]
    password = client.users["ana"]
    assert len(password) > 20
    assert filled == f"a={password} b='{password}'\nyours\n"
    assert set(client.granted) == {
        (name, kind, place, "MANAGE")
        for name, number in (("ana", "2"), ("bia", "3"))
        for kind, place in (("experiment", number), ("registered_model", name))
    } | {("hotserve", "registered_model", name, "READ") for name in ("ana", "bia")}


def test_nobody_gets_the_account_of_a_colleague(client: Client) -> None:
    with pytest.raises(accounts.Refused, match="rui is an account of a scientist"):
        accounts.students(client, "{password|ana|2|x} {password|rui|4|x}")  # type: ignore[arg-type]
    assert "ana" not in client.users


def test_of_a_class_that_is_not_made_no_account_is_left_with_a_password_that_nobody_knows(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(accounts, "AuthServiceClient", lambda _: client)
    sheets = "".join(f"{{password|{name}|{n}|x}}" for n, name in enumerate(("ana", "bia", "caio")))
    client.fails_for = {"caio"}
    monkeypatch.setattr("sys.stdin", StringIO(sheets))
    assert accounts.main(["class"]) == 1
    assert client.users.keys() == {"hotserve", "bia", "rui"}
    told = capsys.readouterr()
    assert told.err == "accounts: MLflow did not do it: the database is locked\n"
    assert told.out == ""

    client.fails_for = {"caio", None}
    monkeypatch.setattr("sys.stdin", StringIO(sheets))
    assert accounts.main(["class"]) == 1
    assert "nobody knows the password of ana, caio: make user" in capsys.readouterr().err


def test_an_account_without_its_role_is_not_left(client: Client) -> None:
    with pytest.raises(MlflowException, match="locked"):
        accounts.add(client, "ana", "reader")  # type: ignore[arg-type]
    assert "ana" not in client.users
