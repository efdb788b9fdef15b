"""Answers into a table of a database: made if missing, appended to, in one transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.types import TypeEngine

from produtos.errors import BadInput
from produtos.language import tr

CONNECT_SECONDS = 10
LONGEST_TABLE_NAME = 64

ORIGIN: dict[str, TypeEngine[Any]] = {
    "modelo": sa.String(255),
    "run_id": sa.String(32),
    "momento": sa.DateTime(),
}
"""Columns of every table beside the products': which model answered, in which run, when (UTC)."""

TEXT = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")

COLUMN_TYPES: dict[Callable[[pa.DataType], bool], TypeEngine[Any]] = {
    pa.types.is_boolean: sa.Boolean(),
    pa.types.is_integer: sa.BigInteger(),
    pa.types.is_floating: sa.Float(53),
    pa.types.is_date: sa.Date(),
    pa.types.is_timestamp: sa.DateTime(),
    pa.types.is_string: TEXT,
    pa.types.is_large_string: TEXT,
    pa.types.is_null: TEXT,
}
"""For each kind of column of the input, that of the table."""


def parse(address: str) -> tuple[URL, str]:
    """The database and the table of `mysql+pymysql://user:password@host/database#table`.

    Raises:
        BadInput: it is no such address.
    """
    database, _, table = address.partition("#")
    try:
        url = sa.make_url(database)
    except (ArgumentError, ValueError):
        url = None
    if url is None or _is_torn(address, url):
        # Nothing of it is shown: a part may be a password's.
        raise BadInput(
            "the output database's address cannot be understood; write it as "
            "mysql+pymysql://user:password@host/database#table, with %40 for an @ and "
            "%23 for a # in the user or the password"
        )
    if not table or len(table) > LONGEST_TABLE_NAME:
        raise BadInput(
            "output {shown}: end the address with # and the table's name, such as #predicoes",
            shown=shown(url),
        )
    return url, table


def _is_torn(address: str, url: URL) -> bool:
    """Whether a password's @ or # was taken for the end of a part."""
    if url.get_backend_name() == "sqlite":
        return False
    return address.count("@") > (url.username is not None) or "@" in (url.host or "")


def shown(url: URL) -> str:
    """The address without a password, and without what else may be secret in it."""
    return url.set(query={}).render_as_string()


def is_database(address: str) -> bool:
    """Whether an output's address is that of a database rather than of a file."""
    return "://" in address and not address.startswith("s3://")


@contextmanager
def appended(
    address: str, schema: pa.Schema, origin: dict[str, str]
) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """A table that has all that was written after the block, or none of it after an error.

    Args:
        address: as `parse` takes it.
        schema: the columns of what will be written.
        origin: values of `ORIGIN`'s columns but `momento`, and of further columns of strings.

    Raises:
        BadInput: the database does not answer or refuses, or the table has other columns.
    """
    url, name = parse(address)
    table = _table(name, schema, origin)
    engine = _engine(url)
    same: dict[str, Any] = dict(origin)
    same["momento"] = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    where = f"{shown(url)}#{name}"
    with _refused(where):
        _prepare(engine, table, where)
        connection = engine.connect()

    def write(rows: pa.RecordBatch) -> None:
        records = [row | same for row in rows.to_pylist()]
        # Without records it would insert a row of nothing.
        if records:
            with _refused(where):
                connection.execute(table.insert(), records)

    try:
        yield write
        with _refused(where):
            connection.commit()
    finally:
        # Closing without a commit rolls back; a connection that is gone has done so already.
        with suppress(SQLAlchemyError):
            connection.close()
            engine.dispose()


def _prepare(engine: Engine, table: sa.Table, address: str) -> None:
    table.create(engine, checkfirst=True)
    inspector = sa.inspect(engine)
    needed = {column.name for column in table.columns}
    there = {column["name"] for column in inspector.get_columns(table.name)}
    if needed != there:
        difference = [tr("no {name}").format(name=name) for name in sorted(needed - there)[:5]]
        difference += [
            tr("{name} is too many").format(name=name) for name in sorted(there - needed)[:5]
        ]
        raise BadInput(
            "output {address}: the table has other columns ({difference}); give another "
            "table's name",
            address=address,
            difference=", ".join(difference),
        )
    kind = inspector.get_table_options(table.name).get("mysql_engine", "InnoDB")
    if kind != "InnoDB":
        raise BadInput(
            "output {address}: the table's engine {kind} has no transactions; give "
            "another table's name, or make it InnoDB",
            address=address,
            kind=kind,
        )


@contextmanager
def _refused(address: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        words = " ".join(map(str, getattr(cause, "args", ()) or (cause,))).split()
        raise BadInput(
            "output {address}: the database could not do it ({words})",
            address=address,
            words=" ".join(words)[:200],
        ) from None


def _engine(url: URL) -> Engine:
    timeout = "timeout" if url.get_backend_name() == "sqlite" else "connect_timeout"
    try:
        return sa.create_engine(url, connect_args={timeout: CONNECT_SECONDS})
    except (NoSuchModuleError, ImportError):
        raise BadInput(
            "output {shown}: there is no driver for {drivername} here; mysql+pymysql:// "
            "and sqlite:// have one",
            shown=shown(url),
            drivername=url.drivername,
        ) from None


def _table(name: str, schema: pa.Schema, origin: dict[str, str]) -> sa.Table:
    kinds = {field.name: _type(field.name, field.type) for field in schema}
    kinds |= {each: sa.String(255) for each in origin} | ORIGIN
    columns = [sa.Column(each, kind) for each, kind in kinds.items()]
    return sa.Table(name, sa.MetaData(), *columns, mysql_engine="InnoDB", mysql_charset="utf8mb4")


def _type(name: str, kind: pa.DataType) -> TypeEngine[Any]:
    if pa.types.is_dictionary(kind):
        # A pandas category: only kept in another way, its values are what everybody sees.
        return _type(name, kind.value_type)
    # No more fits into MySQL.
    if pa.types.is_decimal(kind) and kind.precision <= 65 and 0 <= kind.scale <= 30:
        return sa.Numeric(kind.precision, kind.scale)
    for is_it, column_type in COLUMN_TYPES.items():
        if is_it(kind):
            return column_type
    raise BadInput(
        "column {name}: its type {kind} cannot be kept in a table; leave it out of "
        "the input, or make it another type",
        name=name,
        kind=kind,
    )
