"""What `make user` refuses before it asks MLflow; `tests/compose/test_team_*` try the rest."""

import pytest

from server import accounts
from tests.e2e.conftest import free_port


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
        (["remove"], "usage: python -m server.accounts [list | add NAME ROLE | remove NAME]"),
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


def test_who_may_only_read_has_no_right_to_write() -> None:
    for name in ("reader", "hotserve"):
        assert {grant[2] for grant in accounts.GRANTS[name]} == {"READ"}
        assert name not in accounts.MAKERS
    assert ("registered_model_version", "*", "READ") in accounts.PEOPLE["scientist"]
