"""Drops the tables of a first start that was cut off while MLflow made them.

MLflow makes its tables in some fifty steps, and MySQL can't undo one: where they were cut off
(Ctrl-C, a power cut) the next start would stumble over what is there already, for ever.
"""

import time
from typing import Any

PAUSE_SECONDS = 0.5
TRIES = 120
# What marks a table as MLflow's own, and no other program's of the same name.
MARK = ("experiments", "artifact_location")
# Filled by the steps themselves.
NOT_DATA = {"alembic_version", "workspaces"}


def clear(connection: Any, names: frozenset[str] | None = None) -> bool:
    """Drop MLflow's tables if no MLflow server was ever ready on them.

    A server that is ready has made its first experiment. So nothing can be lost where MLflow's
    tables have no row. Tables of others stay.

    Args:
        connection: of PyMySQL, to the database.
        names: MLflow's tables; those of the MLflow that is installed if left out.

    Returns:
        Whether there was something to drop.
    """
    connection.autocommit(True)  # else each look would see what the first one saw
    with connection.cursor() as cursor:
        for _ in range(TRIES):
            if not _is_without_experiment(cursor):
                return False
            if not _is_used_by_another(cursor):
                break
            time.sleep(PAUSE_SECONDS)
        else:
            return False
        cursor.execute("SHOW TABLES")
        # Loading MLflow takes seconds: not before it is needed.
        tables = {row[0] for row in cursor.fetchall()} & (names or _names_of_mlflow())
        if any(_has_rows(cursor, name) for name in tables - NOT_DATA):
            return False
        cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
        cursor.execute("DROP TABLE " + ", ".join(f"`{name}`" for name in sorted(tables)))
    return True


def _is_without_experiment(cursor: Any) -> bool:
    """Whether there are MLflow's tables, but no experiment in them."""
    cursor.execute(
        "SELECT COUNT(*) FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s AND column_name = %s",
        MARK,
    )
    return bool(cursor.fetchone()[0]) and not _has_rows(cursor, MARK[0])


def _is_used_by_another(cursor: Any) -> bool:
    """Whether another connection of this user is in the database, making the tables perhaps."""
    cursor.execute("SELECT CONNECTION_ID(), DATABASE()")
    mine, database = cursor.fetchone()
    cursor.execute("SHOW PROCESSLIST")
    return any(row[0] != mine and row[3] == database for row in cursor.fetchall())


def _has_rows(cursor: Any, name: str) -> bool:
    cursor.execute(f"SELECT EXISTS (SELECT 1 FROM `{name}`)")
    return bool(cursor.fetchone()[0])


def _names_of_mlflow() -> frozenset[str]:
    from mlflow.store.db import utils  # the module that knows all of them

    tables = {*utils.Base.metadata.tables, *utils.InitialBase.metadata.tables}  # type: ignore[attr-defined]
    return frozenset({*tables, "alembic_version"})
