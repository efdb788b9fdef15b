"""``server.with_mysql``: the database's address, what is waited for, and what is said of it."""

import sys
from typing import Any

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.store.db import utils
from pymysql.constants import CR, ER
from sqlalchemy import make_url

from server import with_mysql
from tests.unit.server.fake_mysql import FakeMySQL, Rows

SETTINGS = {"MYSQL_DATABASE": "mlflow", "MYSQL_USER": "mlflow", "MYSQL_PASSWORD": "segredo"}
URL = with_mysql.address(SETTINGS)
NEWEST = utils._get_latest_schema_revision()  # type: ignore[no-untyped-call]


@pytest.fixture
def mysql(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What comes of each try to connect: an error or a database; the last one for ever."""
    outcomes: list[Any] = []

    def connect(**options: Any) -> FakeMySQL:
        assert options["password"] == "segredo"
        assert options["connect_timeout"] == 5
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, FakeMySQL)
        return outcome

    monkeypatch.setattr(pymysql, "connect", connect)
    return outcomes


def ready(revision: str = NEWEST) -> FakeMySQL:
    rows: dict[str, Rows] = {"experiments": [("Default",)], "alembic_version": [(revision,)]}
    return FakeMySQL(rows)


@given(password=st.text(st.characters(codec="ascii"), min_size=1), user=st.text(min_size=1))
def test_any_password_and_user_survive_the_way_through_the_url(password: str, user: str) -> None:
    settings = SETTINGS | {"MYSQL_PASSWORD": password, "MYSQL_USER": user}
    text = with_mysql.address(settings).render_as_string(hide_password=False)
    assert (make_url(text).password, make_url(text).username) == (password, user)


def test_the_stack_s_own_database_is_the_default() -> None:
    assert (URL.drivername, URL.host, URL.port) == ("mysql+pymysql", "db", 3306)
    assert URL.database == "mlflow"
    theirs = with_mysql.address(SETTINGS | {"MYSQL_HOST": "theirs", "MYSQL_PORT": "3307"})
    assert (theirs.host, theirs.port) == ("theirs", 3307)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_missing_setting_is_exit_code_2_and_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert with_mysql.main(["true"], SETTINGS | {name: ""}) == 2
    assert capsys.readouterr().err == f"mlflow: {name} must be set\n"


@pytest.mark.parametrize("port", ["0", "65536", "mysql", "-1", "３３０６"])
def test_a_port_that_is_none(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert with_mysql.main(["true"], SETTINGS | {"MYSQL_PORT": port}) == 2
    assert f"MYSQL_PORT={port}" in capsys.readouterr().err


def test_a_password_that_the_driver_would_spoil(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_mysql.main(["true"], SETTINGS | {"MYSQL_PASSWORD": "canção"}) == 2
    said = capsys.readouterr().err
    assert said == "mlflow: MYSQL_PASSWORD: must be of ASCII characters; change it in .env\n"


def test_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_mysql.main([], SETTINGS) == 2
    assert "which command?" in capsys.readouterr().err


def test_a_command_that_does_not_exist(
    mysql: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    mysql.append(ready())
    assert with_mysql.main(["no-such-command"], SETTINGS) == 127
    assert capsys.readouterr().err == "mlflow: command not found: no-such-command\n"


def test_a_server_that_is_not_there_is_said_to_be_away() -> None:
    url = with_mysql.address(SETTINGS | {"MYSQL_HOST": "127.0.0.1", "MYSQL_PORT": "1"})
    assert with_mysql.reason_to_wait(url) == "MySQL at 127.0.0.1:1 does not answer yet"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (ER.ACCESS_DENIED_ERROR, "refuses the user mlflow: see MYSQL_USER and MYSQL_PASSWORD ("),
        (ER.BAD_DB_ERROR, "has no database mlflow that the user mlflow may use: see MYSQL_DA"),
        (ER.DBACCESS_DENIED_ERROR, "has no database mlflow that the user mlflow may use: see"),
        (CR.CR_CONN_HOST_ERROR, "does not answer yet"),
        (CR.CR_SERVER_LOST, "does not answer yet"),
        (ER.CON_COUNT_ERROR, "por extenso"),
    ],
)
def test_each_refusal_is_one_line_that_says_what_to_change(
    code: int, reason: str, mysql: list[Any]
) -> None:
    mysql.append(pymysql.OperationalError(code, "por extenso"))
    said = str(with_mysql.reason_to_wait(URL))
    assert said.startswith(f"MySQL at db:3306{' ' if code != ER.CON_COUNT_ERROR else ': '}{reason}")
    assert "segredo" not in said


def test_it_says_each_reason_once_and_goes_on_when_it_is_mended(
    mysql: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away = pymysql.OperationalError(CR.CR_CONN_HOST_ERROR, "")
    refused = pymysql.OperationalError(ER.ACCESS_DENIED_ERROR, "")
    mysql += [away, away, refused, refused, refused, ready()]
    pauses: list[float] = []
    monkeypatch.setattr("server.with_mysql.time.sleep", pauses.append)
    became: list[Any] = []
    monkeypatch.setattr("server.with_mysql.os.execvpe", lambda *given: became.append(given))
    with_mysql.main(["mlflow", "server", "--port", "5000"], SETTINGS)
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[4] for line in said] == ["does", "refuses"]
    assert pauses == [2.0] * 5
    ((program, command, environment),) = became
    python = [sys.executable, "-m", "server.one_process"]
    assert (program, command) == (sys.executable, [*python, "server", "--port", "5000"])
    assert environment["MLFLOW_BACKEND_STORE_URI"] == (
        "mysql+pymysql://mlflow:segredo@db:3306/mlflow"
    )
    assert environment.items() >= SETTINGS.items()


def test_gc_finds_the_database_and_may_delete_where_there_are_logins(
    mysql: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.append(ready())
    became: list[Any] = []
    monkeypatch.setattr("server.with_mysql.os.execvpe", lambda *given: became.append(given))
    line = ["mlflow", "gc", "--tracking-uri", "http://mlflow:5000"]
    with_mysql.main(line, SETTINGS | {"MLFLOW_AUTH_ADMIN_PASSWORD": "um-segredo"})
    ((_, command, environment),) = became
    assert command == line
    assert environment["MLFLOW_TRACKING_URI"] == "mysql+pymysql://mlflow:segredo@db:3306/mlflow"
    assert environment["MLFLOW_TRACKING_USERNAME"] == "admin"
    assert environment["MLFLOW_TRACKING_PASSWORD"] == "um-segredo"


def test_tables_of_a_start_that_was_cut_off_are_made_again(
    mysql: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    database = FakeMySQL({"experiments": [], "alembic_version": [(NEWEST,)]})
    mysql.append(database)
    assert with_mysql.reason_to_wait(URL) is None
    assert database.tables == {}
    assert "the first start was cut off" in capsys.readouterr().err


def test_the_revisions_read_from_its_files_are_those_that_mlflow_itself_finds() -> None:
    known, newest = with_mysql.revisions_of_mlflow()
    assert newest == NEWEST
    assert len(known) > 60


@pytest.mark.parametrize("tables", [{}, {"alembic_version": []}], ids=["empty", "no revision"])
def test_a_database_without_tables_is_mlflow_s_to_fill(
    tables: dict[str, Rows], mysql: list[Any]
) -> None:
    mysql.append(FakeMySQL(tables))
    assert with_mysql.reason_to_wait(URL) is None


def test_an_older_mlflow_s_tables_are_named_with_the_command_that_mends_them(
    mysql: list[Any],
) -> None:
    older = min(with_mysql.revisions_of_mlflow()[0] - {NEWEST})
    mysql.append(ready(older))
    assert with_mysql.reason_to_wait(URL) == (
        f"the database is of an older MLflow (revision {older}, this one needs {NEWEST}): "
        "run `make upgrade`"
    )
    assert with_mysql.reason_to_wait(URL, any_revision=True) is None


def test_half_a_restore_is_neither_served_nor_cleared_away() -> None:
    half = FakeMySQL({"experiments": [], "runs": [], with_mysql.UNFINISHED_RESTORE: []})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pymysql, "connect", lambda **_: half)
        reason = with_mysql.reason_to_wait(URL, any_revision=True)
    assert reason == "a restore was cut off: run `make restore` again"
    assert set(half.tables) == {"experiments", "runs", with_mysql.UNFINISHED_RESTORE}


def test_a_newer_mlflow_s_tables_are_not_touched(mysql: list[Any]) -> None:
    mysql.append(ready("ffffffffffff"))
    said = str(with_mysql.reason_to_wait(URL))
    assert said.startswith("the database is of a newer MLflow than this one (revision ffffffffffff")
    assert "upgrade" not in said


def test_upgrade_hands_the_address_to_mlflow_and_not_to_a_command_line(
    mysql: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.append(ready(min(with_mysql.revisions_of_mlflow()[0] - {NEWEST})))
    upgraded: list[str] = []
    monkeypatch.setattr(utils, "create_sqlalchemy_engine_with_retry", lambda uri: uri)
    monkeypatch.setattr(utils, "_is_empty_database", lambda _: False)
    monkeypatch.setattr(utils, "_upgrade_db", upgraded.append)
    with pytest.raises(SystemExit) as ended:
        with_mysql.main(["upgrade"], SETTINGS)
    assert ended.value.code == 0
    assert upgraded == ["mysql+pymysql://mlflow:segredo@db:3306/mlflow"]
    assert "segredo" not in " ".join(sys.argv)
