"""``server.incomplete_tables``: what is dropped, and above all what is not."""

import pytest

from server import incomplete_tables
from tests.unit.server.fake_mysql import FakeMySQL, Rows

MLFLOW = frozenset({"alembic_version", "experiments", "runs", "workspaces"})


def cut_off(**tables: Rows) -> FakeMySQL:
    """A first start that was cut off: what the steps themselves have filled, and no more."""
    made: dict[str, Rows] = {
        "alembic_version": [("b7c8d9e0f1a2",)],
        "experiments": [],
        "runs": [],
        "workspaces": [("default",)],
    }
    return FakeMySQL(made | tables)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("server.incomplete_tables.time.sleep", made.append)
    return made


def clear(database: FakeMySQL) -> bool:
    return incomplete_tables.clear(database, MLFLOW)


def test_tables_of_a_start_that_was_cut_off_are_dropped_and_those_of_others_stay() -> None:
    database = cut_off(theirs=[(1,)])
    assert clear(database)
    assert database.tables == {"theirs": [(1,)]}
    keys, drop = database.executed[-2:]
    assert keys == "SET FOREIGN_KEY_CHECKS = 0", "MySQL keeps a table that another one points to"
    assert drop.startswith("DROP TABLE ")


@pytest.mark.parametrize("table", ["experiments", "runs"])
def test_nothing_is_dropped_where_there_is_one_row(table: str) -> None:
    database = cut_off(**{table: [("de alguém",)]})
    assert not clear(database)
    assert set(database.tables) == MLFLOW


def test_a_table_of_another_program_with_the_same_name_is_left_alone() -> None:
    database = cut_off()
    database.columns = ("id", "title")
    assert not clear(database)
    assert set(database.tables) == MLFLOW


@pytest.mark.parametrize("tables", [{}, {"theirs": []}], ids=["empty", "of others"])
def test_a_database_without_mlflow_s_tables_is_left_alone(tables: dict[str, Rows]) -> None:
    database = FakeMySQL(tables)
    assert not clear(database)
    assert not any("DROP" in query for query in database.executed)


def test_it_waits_while_somebody_else_is_making_the_tables(pauses: list[float]) -> None:
    database = cut_off()
    database.others = [["mlflow"], ["another", "mlflow"], ["another"]]
    assert clear(database)
    assert pauses == [0.5, 0.5]
    assert database.tables == {}


def test_tables_that_were_finished_meanwhile_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = cut_off()
    database.others = [["mlflow"]]
    finish = {"experiments": [("Default",)]}
    monkeypatch.setattr(
        "server.incomplete_tables.time.sleep", lambda _: database.tables.update(finish)
    )
    assert not clear(database)
    assert set(database.tables) == MLFLOW


def test_nothing_is_dropped_under_somebody_who_stays(pauses: list[float]) -> None:
    database = cut_off()
    database.others = [["mlflow"]] * 200
    assert not clear(database)
    assert sum(pauses) == 60
    assert set(database.tables) == MLFLOW


def test_the_tables_of_this_mlflow_are_known() -> None:
    """They are MLflow's own business, so a new MLflow may have them elsewhere."""
    names = incomplete_tables._names_of_mlflow()
    assert names >= MLFLOW | {"registered_models"}
