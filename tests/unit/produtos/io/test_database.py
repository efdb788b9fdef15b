"""Answers in a table: all of them, or none."""

import datetime
import sqlite3
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from produtos.errors import BadInput
from produtos.io import database
from produtos.io.database import appended, parse
from produtos.io.sinks import Output
from tests.unit.produtos.io.samples import ONE, ORIGIN, SCHEMA, TWO


def table(folder: Path, schema: pa.Schema = SCHEMA) -> Output:
    return appended(f"sqlite:///{folder}/a.db#predicoes", schema, ORIGIN)


def select(query: str, folder: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(folder / "a.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def rows(folder: Path) -> list[tuple[Any, ...]]:
    return select(
        "select id, texto, categoria, versao, modelo, run_id from predicoes order by id", folder
    )


def test_a_table_is_made_then_appended_to(tmp_path: Path) -> None:
    for part in (ONE, TWO):
        with table(tmp_path) as write:
            write(part)
    assert rows(tmp_path) == [
        (1, 'boneca "Lili"; azul', "brinquedo", "2", "classificador-produtos", "abc"),
        (2, "halo\n3\r", "game", "2", "classificador-produtos", "abc"),
        (3, "ação", "livro", "2", "classificador-produtos", "abc"),
    ]


def test_a_job_that_ends_early_appends_nothing(tmp_path: Path) -> None:
    with table(tmp_path) as write:
        write(ONE)
    with suppress(KeyboardInterrupt), table(tmp_path) as write:
        write(TWO)
        raise KeyboardInterrupt
    assert len(rows(tmp_path)) == 1


def test_a_table_with_other_columns_is_left_alone(tmp_path: Path) -> None:
    with table(tmp_path):
        pass
    other = pa.schema([("texto", pa.string()), ("preco", pa.float64())])
    said = r"other columns \(no preco, categoria is too many, id is"
    with pytest.raises(BadInput, match=said), table(tmp_path, other):
        pass


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql+pymysql://u:segredo@127.0.0.1/d", "end the address with #"),
        ("mysql+pymysql://u:segredo@host:porta/d#t", "cannot be understood"),
        ("mysql+pymysql://u:segredo@127.0.0.1/d#" + "t" * 65, "end the address with #"),
    ],
)
def test_addresses_that_are_none(address: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        parse(address)
    assert "segredo" not in str(error.value)


def test_databases_that_cannot_be_reached(tmp_path: Path) -> None:
    for address, said in (
        ("mysql+pymysql://u:segredo@127.0.0.1:1/d#t", "could not do it"),
        ("oracle://u:segredo@127.0.0.1/d#t", "there is no driver for oracle"),
        (f"sqlite:///{tmp_path}/nada/a.db#t", "could not do it"),
    ):
        with pytest.raises(BadInput, match=said) as error, appended(address, SCHEMA, ORIGIN):
            pass
        assert "segredo" not in str(error.value)


def test_a_column_that_no_table_can_hold(tmp_path: Path) -> None:
    schema = pa.schema([("texto", pa.string()), ("fotos", pa.list_(pa.string()))])
    with (
        pytest.raises(BadInput, match=r"column fotos: its type list.*leave it out"),
        table(tmp_path, schema),
    ):
        pass
    schema = pa.schema([("texto", pa.string()), ("preco", pa.decimal128(5, -2))])
    with (
        pytest.raises(BadInput, match="column preco: its type decimal128"),
        table(tmp_path, schema),
    ):
        pass


def test_dates_decimals_and_categories_are_kept_in_a_table(tmp_path: Path) -> None:
    day = datetime.date(2024, 2, 29)
    batch = pa.RecordBatch.from_pydict(
        {
            "texto": pa.array(["halo", "boneca"]).dictionary_encode(),
            "dia": pa.array([day, None], pa.date32()),
            "preco": pa.array([Decimal("19.90"), None], pa.decimal128(7, 2)),
            "nota": pa.array([None, None], pa.null()),
        }
    )
    with table(tmp_path, batch.schema) as write:
        write(batch)
    kept = select("select texto, dia, preco, nota from predicoes order by texto desc", tmp_path)
    assert kept == [("halo", "2024-02-29", 19.9, None), ("boneca", None, None, None)]
    declared = dict(select("select name, type from pragma_table_info('predicoes')", tmp_path))
    assert (declared["dia"], declared["preco"]) == ("DATE", "NUMERIC(7, 2)")


@pytest.mark.parametrize("password", ["se@gredo", "se/gre@do", "se#gredo", "se:@gredo"])
def test_a_password_that_tears_the_address_is_told_and_not_shown(password: str) -> None:
    with pytest.raises(BadInput, match="%40 for an @") as error:
        database.parse(f"mysql+pymysql://ana:{password}@127.0.0.1:3306/mlflow#predicoes")
    assert "gredo" not in str(error.value)
    assert database.parse("sqlite:////casa/ana@loja/a.db#predicoes")[1] == "predicoes"


def test_a_row_that_the_database_refuses_takes_those_before_it_back(tmp_path: Path) -> None:
    with table(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute(
        "create trigger halt before insert on predicoes when new.id = 3 "
        "begin select raise(abort, 'no third'); end"
    )
    connection.close()

    def write_all() -> None:
        with table(tmp_path) as write:
            write(ONE)
            write(TWO)

    with pytest.raises(BadInput, match=r"#predicoes: the database could not do it \(no third\)"):
        write_all()
    assert rows(tmp_path) == []


def test_nothing_is_seen_before_the_end_and_no_rows_are_no_row(tmp_path: Path) -> None:
    with table(tmp_path) as write:
        write(ONE.slice(0, 0))
        write(ONE)
        assert rows(tmp_path) == []
    assert [row[0] for row in rows(tmp_path)] == [1]


def test_what_may_be_secret_in_an_address_is_not_shown() -> None:
    url, _ = parse("mysql+pymysql://ana:segredo@db/mlflow?ssl_key=segredo#predicoes")
    assert database.shown(url) == "mysql+pymysql://ana:***@db/mlflow"
