"""``server.with_mysql``: the database's address, and what is said when a setting is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from server import half_made, with_mysql

SETTINGS = {"MYSQL_DATABASE": "mlflow", "MYSQL_USER": "mlflow", "MYSQL_PASSWORD": "segredo"}


@given(password=st.text(st.characters(codec="ascii"), min_size=1), user=st.text(min_size=1))
def test_any_password_and_user_survive_the_way_through_the_url(password: str, user: str) -> None:
    settings = SETTINGS | {"MYSQL_PASSWORD": password, "MYSQL_USER": user}
    text = with_mysql.address(settings).render_as_string(hide_password=False)
    assert (make_url(text).password, make_url(text).username) == (password, user)


def test_the_stack_s_own_database_is_the_default() -> None:
    url = with_mysql.address(SETTINGS)
    assert (url.host, url.port, url.database) == ("db", 3306, "mlflow")


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
    assert capsys.readouterr().err == "mlflow: MYSQL_PASSWORD must be of ASCII characters\n"


def test_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_mysql.main([], SETTINGS) == 2
    assert "which command?" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_said_to_be_away() -> None:
    url = with_mysql.address(SETTINGS | {"MYSQL_HOST": "127.0.0.1", "MYSQL_PORT": "1"})
    assert with_mysql.trouble(url) == "MySQL at 127.0.0.1:1 does not answer yet"


def test_the_tables_of_this_mlflow_are_known() -> None:
    """They are MLflow's own business, so a new MLflow may have them elsewhere."""
    names = half_made._mlflow_s_tables()
    assert {"alembic_version", "experiments", "runs", "registered_models", "workspaces"} <= names
