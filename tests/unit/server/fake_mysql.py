"""A MySQL that knows the few questions that ``server`` asks, in this process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Rows = list[tuple[Any, ...]]


@dataclass
class FakeMySQL:
    """A database, and the connection and the cursor to it.

    Attributes:
        tables: each table's rows.
        others: databases that other connections are in, one list for each look at them.
        columns: the columns of the table `experiments`.
    """

    tables: dict[str, Rows]
    others: list[list[str]] = field(default_factory=list)
    columns: Sequence[str] = ("experiment_id", "artifact_location")
    executed: list[str] = field(default_factory=list)
    _result: Rows = field(default_factory=list)
    _autocommit: bool = False

    def autocommit(self, value: bool) -> None:
        self._autocommit = value

    def cursor(self) -> FakeMySQL:
        return self

    def __enter__(self) -> FakeMySQL:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, query: str, arguments: Sequence[str] = ()) -> int:
        self.executed.append(query)
        self._result = self._answer(query, arguments)
        return len(self._result)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._result[0] if self._result else None

    def fetchall(self) -> Rows:
        return self._result

    def _answer(self, query: str, arguments: Sequence[str]) -> Rows:
        if "information_schema.columns" in query:
            table, column = arguments
            return [(int(table in self.tables and column in self.columns),)]
        if query == "SELECT CONNECTION_ID(), DATABASE()":
            return [(7, "mlflow")]
        if query == "SHOW PROCESSLIST":
            assert self._autocommit, "it would see the same for ever"
            others = self.others.pop(0) if self.others else []
            mine = (7, "mlflow", "host", "mlflow")
            return [mine, *((8, "mlflow", "host", database) for database in others)]
        if query == "SHOW TABLES":
            return [(name,) for name in self.tables]
        if like := re.fullmatch(r"SHOW TABLES LIKE '(\w+)'", query):
            return [(name,) for name in self.tables if name == like[1]]
        if rows := re.fullmatch(r"SELECT EXISTS \(SELECT 1 FROM `(\w+)`\)", query):
            return [(int(bool(self.tables[rows[1]])),)]
        if query == "SELECT version_num FROM alembic_version":
            return self.tables["alembic_version"]
        if query == "SET FOREIGN_KEY_CHECKS = 0":
            return []
        assert query.startswith("DROP TABLE "), query
        for name in re.findall(r"`(\w+)`", query):
            del self.tables[name]
        return []
