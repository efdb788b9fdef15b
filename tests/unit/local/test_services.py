"""Services that end, and what is said of why."""

from collections.abc import Mapping

import pytest

from local import services
from local.settings import Settings
from tests.unit.local.runner import runner_that_ended


def test_process_runner_that_says_nothing_is_told_by_its_code(chosen: Settings) -> None:
    with pytest.raises(services.ServicesError, match=r"ended with code 2 \(its log: dados/logs/"):
        runner_that_ended(chosen, "").states()


@pytest.mark.parametrize(("code", "points_there"), [(124, True), (2, False)])
def test_log_of_mlflow_is_named_when_mlflow_is_what_does_not_answer(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, code: int, points_there: bool
) -> None:
    runner = runner_that_ended(chosen, "")
    ended = {"name": "trainer", "statename": "EXITED", "exitstatus": code}
    monkeypatch.setattr(runner, "states", lambda: {"trainer": ended})
    (chosen.logs / "trainer.log").write_text("wait-for-it.sh: time-out: no answer\n")
    with pytest.raises(services.ServicesError) as told:
        runner.trained(chosen, mlflow_answered=False)
    assert "wait-for-it.sh: time-out: no answer" in str(told.value)
    assert ("dados/logs/mlflow.log" in str(told.value)) is points_there


RUNNING = {"statename": "RUNNING", "exitstatus": 0, "stop": 0}
OUT_OF_DATE = (
    "Traceback (most recent call last):\n"
    "mlflow.exceptions.MlflowException: Detected out-of-date database schema (found version 1, but"
    " expected 2). Take a backup of your database, then run 'mlflow db upgrade <database_uri>'\n"
)


def states(**changed: Mapping[str, object]) -> dict[str, dict[str, object]]:
    names = ("mlflow", "trainer", "classificador-produtos")
    return {name: {**RUNNING, **changed.get(name, {})} for name in names}


def test_services_that_run_are_left_alone(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_that_ended(chosen, "")
    for found, trained in (
        ({}, False),
        (states(), False),
        (states(trainer={"statename": "EXITED"}), True),
        # It is started again: that passes by itself.
        (states(mlflow={"stop": 1764000000}, trainer={"statename": "EXITED"}), True),
    ):
        monkeypatch.setattr(runner, "states", lambda found=found: found)
        assert runner.trained(chosen, mlflow_answered=True) is trained


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (OUT_OF_DATE, "the database dados/mlflow.db was made by another version of MLflow; "),
        ("ValueError: no\nmore\n", "mlflow could not go on: ValueError: no (its log: dados/logs/m"),
        ("Killed\n", "mlflow could not go on: Killed (its log: dados/logs/mlflow.log)"),
    ],
)
def test_mlflow_that_ends_before_it_answered_is_the_end(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, log: str, reason: str
) -> None:
    runner = runner_that_ended(chosen, "")
    (chosen.logs / "mlflow.log").write_text(log)
    monkeypatch.setattr(runner, "states", lambda: states(mlflow={"stop": 1764000000}))
    with pytest.raises(services.ServicesError) as told:
        runner.trained(chosen, mlflow_answered=False)
    assert str(told.value).startswith(reason)
    assert ("mlflow db upgrade 'sqlite:///" in str(told.value)) is (log == OUT_OF_DATE)


@pytest.mark.parametrize("name", ["mlflow", "classificador-produtos"])
def test_a_service_that_was_given_up_is_the_end(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    runner = runner_that_ended(chosen, "")
    given_up = {"statename": "FATAL", "spawnerr": "can't find command 'hotserve'"}
    monkeypatch.setattr(runner, "states", lambda: states(**{name: given_up}))
    with pytest.raises(services.ServicesError, match=f"{name} could not go on: can't find comm"):
        runner.trained(chosen, mlflow_answered=True)
