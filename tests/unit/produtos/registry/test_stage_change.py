"""Stages, aliases, what is on record, and back again, on a real store."""

import getpass
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput
from produtos.registry import registry, stage_change
from produtos.registry.registry import MODEL_NAME, PRODUCTION, STAGING
from tests.unit.produtos.registry.models import version


@pytest.fixture(autouse=True)
def _two_versions(client: MlflowClient) -> None:
    """Version 1 in Production, version 2 in Staging."""
    for stage in (PRODUCTION, STAGING):
        registry.move(client, version(client), stage)


def move(client: MlflowClient, number: str, stage: str = PRODUCTION, reason: str = "") -> None:
    stage_change.move(client, client.get_model_version(MODEL_NAME, number), stage, reason)


def state(client: MlflowClient) -> tuple[list[str], dict[str, str]]:
    """Stages of the versions, and versions by alias."""
    stages = [str(each.current_stage) for each in registry.versions(client)]
    aliases = client.get_registered_model(MODEL_NAME).aliases
    return stages, {alias: str(number) for alias, number in aliases.items()}


def tags(client: MlflowClient, number: str) -> dict[str, str]:
    return dict(client.get_model_version(MODEL_NAME, number).tags)


def by_hand(client: MlflowClient, number: str, stage: str, *, archive: bool = True) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(MODEL_NAME, number, stage, archive)


def test_a_version_takes_a_stage_alone_with_its_alias_and_on_record(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ana")
    move(client, "2", reason="conhece acentos")
    assert state(client) == (["Archived", PRODUCTION], {"production": "2"})
    kept = tags(client, "2")
    assert kept["before.Production"] == "1"
    assert kept.pop("promotion.at").endswith("+00:00")
    assert {name: value for name, value in kept.items() if name.startswith("promotion.")} == {
        "promotion.by": "ana",
        "promotion.to": "Production",
        "promotion.reason": "conhece acentos",
        "promotion.forced": "no",
    }
    assert "before.Production" not in tags(client, "1")


def test_who_moved_it_stays_on_record_unless_there_is_a_reason_to_add(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    second = client.get_model_version(MODEL_NAME, "2")
    stage_change.move(client, second, PRODUCTION, "pressa", forced=True)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ana")
    move(client, "2")
    assert tags(client, "2")["promotion.by"] == getpass.getuser()
    move(client, "2", reason="calma")
    kept = tags(client, "2")
    assert (kept["promotion.by"], kept["promotion.reason"]) == ("ana", "calma")
    assert kept["promotion.forced"] == "yes"


def test_a_user_without_a_name_is_told_by_number(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    monkeypatch.setattr("getpass.getuser", nameless)
    move(client, "2")
    assert tags(client, "2")["promotion.by"].startswith("uid ")


def test_of_two_moves_at_the_same_time_stage_and_alias_tell_one(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one comes between this one's stage and its alias."""
    third = version(client)
    set_alias = client.set_registered_model_alias

    def meanwhile(name: str, alias: str, number: str) -> None:
        monkeypatch.setattr(client, "set_registered_model_alias", set_alias)
        registry.move(client, third, PRODUCTION)
        set_alias(name, alias, number)

    monkeypatch.setattr(client, "set_registered_model_alias", meanwhile)
    move(client, "2")
    assert state(client) == (["Archived", "Archived", PRODUCTION], {"production": "3"})


@pytest.mark.parametrize("stage", ["None", "Archived"])
def test_out_of_the_way_the_alias_goes_too(client: MlflowClient, stage: str) -> None:
    client.set_registered_model_alias(MODEL_NAME, "champion", "1")
    move(client, "1", stage)
    assert state(client) == ([stage, STAGING], {"staging": "2", "champion": "1"})
    assert tags(client, "1")["promotion.to"] == stage


def test_two_that_a_hand_left_in_production_are_one_afterwards(client: MlflowClient) -> None:
    by_hand(client, "2", PRODUCTION, archive=False)
    assert (found := registry.in_stage(client, PRODUCTION)) is not None
    assert found.version in (2, "2")
    move(client, "1")
    assert state(client) == ([PRODUCTION, "Archived"], {"production": "1"})


def test_rolling_back_goes_one_step_at_a_time_and_not_forth_again(client: MlflowClient) -> None:
    registry.move(client, version(client), STAGING)
    move(client, "2")
    move(client, "3")
    leaving, returning = stage_change.roll_back(client, PRODUCTION, "erro em livros")
    assert (str(leaving.version), str(returning.version)) == ("3", "2")
    assert state(client) == (["Archived", PRODUCTION, "Archived"], {"production": "2"})
    assert tags(client, "3")["rolled_back.from"] == "Production"
    assert tags(client, "3")["rolled_back.reason"] == "erro em livros"
    kept = tags(client, "2")
    assert kept["promotion.reason"] == "roll-back from version 3: erro em livros"
    assert kept["promotion.forced"] == "no"
    stage_change.roll_back(client, PRODUCTION, "")
    assert tags(client, "1")["promotion.reason"] == "roll-back from version 2"
    assert state(client)[1] == {"production": "1"}
    with pytest.raises(BadInput, match=r"what was in Production before version 1; say which one"):
        stage_change.roll_back(client, PRODUCTION, "")


def test_a_roll_back_that_was_cut_off_and_repeated_is_never_two(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry goes away at each of its requests that change something, once."""
    version(client)
    changing = (
        *("set_model_version_tag", "transition_model_version_stage"),
        *("set_registered_model_alias", "set_registered_model_tag"),
    )
    for request in range(100):
        move(client, "1")
        move(client, "2")
        move(client, "3")
        left = iter(range(request))
        with monkeypatch.context() as away:

            def cut(
                left: Iterator[int], do: Callable[..., None], *given: object, **more: object
            ) -> None:
                if next(left, None) is None:
                    raise MlflowException("gone")
                do(*given, **more)

            for name in changing:
                away.setattr(client, name, partial(cut, left, getattr(client, name)))
            try:
                stage_change.roll_back(client, PRODUCTION, "")
                break
            except MlflowException:
                pass
        # Refused where it has moved already.
        with suppress(BadInput):
            stage_change.roll_back(client, PRODUCTION, "")
        there = registry.in_stage(client, PRODUCTION)
        assert there is not None
        assert str(there.version) == "2"
    assert request > 8


def test_there_and_back_is_one_step_back(client: MlflowClient) -> None:
    """A version that is moved where it is already is no step of its own."""
    move(client, "2")
    move(client, "2", reason="outra vez")
    stage_change.roll_back(client, PRODUCTION, "")
    assert state(client)[1] == {"production": "1"}


def test_planning_a_roll_back_changes_nothing(client: MlflowClient) -> None:
    move(client, "2")
    before = state(client), tags(client, "1"), tags(client, "2")
    leaving, returning = stage_change.roll_back(client, PRODUCTION, "", dry_run=True)
    assert (str(leaving.version), str(returning.version)) == ("2", "1")
    assert (state(client), tags(client, "1"), tags(client, "2")) == before


def test_what_a_hand_moved_since_is_not_rolled_back_by_guess(client: MlflowClient) -> None:
    move(client, "2")
    for number in ("1", "2"):
        by_hand(client, number, PRODUCTION)
    with pytest.raises(BadInput, match=r"edited by hand since; .*\(--version 1 --force, perhaps\)"):
        stage_change.roll_back(client, PRODUCTION, "")
    assert state(client)[0] == ["Archived", PRODUCTION]


def test_what_was_deleted_or_emptied_is_told(client: MlflowClient) -> None:
    move(client, "2")
    client.delete_model_version(MODEL_NAME, "1")
    with pytest.raises(BadInput, match="version 1, which was in Production before version 2, was"):
        stage_change.roll_back(client, PRODUCTION, "")
    with pytest.raises(BadInput, match="no version is in Staging"):
        stage_change.roll_back(client, STAGING, "")
    with pytest.raises(BadInput, match="only Production and Staging can be rolled back"):
        stage_change.roll_back(client, "Archived", "")


def test_the_history_keeps_the_last_fifty_and_survives_what_a_hand_wrote(
    client: MlflowClient,
) -> None:
    written = " ".join(f"{number}@0" for number in range(1, 60))
    client.set_registered_model_tag(MODEL_NAME, "history.Production", written)
    move(client, "1")
    kept = registry.history(client, PRODUCTION)
    last = registry.entry(client.get_model_version(MODEL_NAME, "1"))
    assert (len(kept), kept[0], kept[-2:]) == (50, "11@0", ["59@0", last])
    client.set_registered_model_tag(MODEL_NAME, "history.Production", "não mexer")
    with pytest.raises(BadInput, match="not on record"):
        stage_change.roll_back(client, PRODUCTION, "")
    move(client, "2")
    _, returning = stage_change.roll_back(client, PRODUCTION, "", dry_run=True)
    assert returning.version in (1, "1")


def test_what_is_in_production_is_found_among_a_thousand_that_came_later(
    client: MlflowClient,
) -> None:
    database = sqlite3.connect(client.tracking_uri.removeprefix("sqlite:///"))
    with closing(database), database:
        names = [row[1] for row in database.execute("PRAGMA table_info(model_versions)")]
        new = {"version": "?", "current_stage": "'None'", "last_updated_time": "1 << 62"}
        values = ", ".join(new.get(name, name) for name in names)
        database.executemany(
            f"INSERT INTO model_versions SELECT {values} FROM model_versions"
            " WHERE name = ? AND version = 1",
            [(number, MODEL_NAME) for number in range(3, 1101)],
        )
    there = registry.in_stage(client, PRODUCTION)
    assert there is not None
    assert str(there.version) == "1"
    assert len(registry.versions(client)) == 1100
