"""Outputs are there in whole or not at all; summaries count right."""

import csv
import datetime
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import make_url

from produtos.batch.differences import Differences
from produtos.batch.io import sinks
from produtos.batch.io.database import DatabaseTable, parse
from produtos.batch.io.rows import AnsweredRows, ArrowRows, BadRow, TextRows
from produtos.batch.io.sinks import BadRows, Sink
from produtos.batch.io.storage import locate
from produtos.errors import BadInput

SCHEMA = pa.schema([("id", pa.int64()), ("texto", pa.string()), ("categoria", pa.string())])
ORIGIN = {"modelo": "classificador-produtos", "versao": "2", "run_id": "abc"}


def batch(*rows: tuple[int, str, str]) -> ArrowRows:
    names = SCHEMA.names
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return ArrowRows(pa.RecordBatch.from_pylist(records, schema=SCHEMA))


ONE = batch((1, 'boneca "Lili"; azul', "brinquedo"))
TWO = batch((2, "halo\n3\r", "game"), (3, "ação", "livro"))


def csv_file(path: Path) -> Sink:
    return sinks.csv_file(locate(str(path)), SCHEMA)


def parquet_file(path: Path) -> Sink:
    return sinks.parquet_file(locate(str(path)), SCHEMA, ORIGIN)


both = pytest.mark.parametrize("make", [csv_file, parquet_file])


@both
def test_a_file_has_its_name_only_when_finished(
    make: Callable[[Path], Sink], tmp_path: Path
) -> None:
    path = tmp_path / "saida"
    path.write_text("de ontem", encoding="utf-8")
    sink = make(path)
    sink.write(ONE)
    assert path.read_text(encoding="utf-8") == "de ontem"
    sink.write(TWO)
    sink.commit()
    assert [each.name for each in tmp_path.iterdir()] == ["saida"]
    assert path.read_bytes() != b"de ontem"


@both
def test_an_aborted_file_leaves_what_was_there(
    make: Callable[[Path], Sink], tmp_path: Path
) -> None:
    path = tmp_path / "saida"
    path.write_text("de ontem", encoding="utf-8")
    sink = make(path)
    sink.write(ONE)
    sink.abort()
    assert [each.name for each in tmp_path.iterdir()] == ["saida"]
    assert path.read_text(encoding="utf-8") == "de ontem"


def test_csv_is_read_back_as_it_was(tmp_path: Path) -> None:
    sink = csv_file(tmp_path / "a.csv")
    sink.write(ONE)
    sink.write(TWO)
    sink.commit()
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file, delimiter=";")) == [
            ["id", "texto", "categoria"],
            ["1", 'boneca "Lili"; azul', "brinquedo"],
            ["2", "halo\n3\r", "game"],
            ["3", "ação", "livro"],
        ]


def test_parquet_keeps_types_and_says_what_made_it(tmp_path: Path) -> None:
    sink = parquet_file(tmp_path / "a.parquet")
    sink.write(TWO)
    sink.commit()
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.to_pylist() == TWO.batch().to_pylist()
    assert table.schema.metadata[b"versao"] == b"2"


@both
def test_a_place_that_cannot_be_written(make: Callable[[Path], Sink], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        make(tmp_path / "nada" / "saida")
    with pytest.raises(BadInput, match="this is a folder"):
        make(tmp_path)


def test_bad_rows_are_listed_and_no_bad_rows_are_no_file(tmp_path: Path) -> None:
    path = tmp_path / "rejeitadas.csv"
    bad = BadRows(str(path))
    bad.write([BadRow("a.csv", 3, "no text", ";;")])
    bad.write([BadRow("a.csv", 9, "no text", ""), BadRow("b.csv", 1, "too many fields", "x;y")])
    assert not path.exists()
    bad.commit()
    assert path.read_text(encoding="utf-8").splitlines() == [
        "arquivo;linha;motivo;conteudo",
        'a.csv;3;no text;";;"',
        "a.csv;9;no text;",
        'b.csv;1;too many fields;"x;y"',
    ]
    assert bad.by_reason == {"no text": 2, "too many fields": 1}
    # The next job has none: yesterday's list would be a lie.
    BadRows(str(path)).commit()
    assert not path.exists()


def table(folder: Path, schema: pa.Schema = SCHEMA) -> DatabaseTable:
    return DatabaseTable(make_url(f"sqlite:///{folder}/a.db"), "predicoes", schema, ORIGIN)


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
        sink = table(tmp_path)
        sink.write(part)
        sink.commit()
    assert rows(tmp_path) == [
        (1, 'boneca "Lili"; azul', "brinquedo", "2", "classificador-produtos", "abc"),
        (2, "halo\n3\r", "game", "2", "classificador-produtos", "abc"),
        (3, "ação", "livro", "2", "classificador-produtos", "abc"),
    ]


def test_an_aborted_job_appends_nothing(tmp_path: Path) -> None:
    sink = table(tmp_path)
    sink.write(ONE)
    sink.commit()
    sink = table(tmp_path)
    sink.write(TWO)
    sink.abort()
    assert len(rows(tmp_path)) == 1


def test_a_table_with_other_columns_is_left_alone(tmp_path: Path) -> None:
    table(tmp_path).commit()
    other = pa.schema([("texto", pa.string()), ("preco", pa.float64())])
    with pytest.raises(BadInput, match=r"other columns \(no preco, categoria is too many, id is"):
        table(tmp_path, other)


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
        with pytest.raises(BadInput, match=said) as error:
            DatabaseTable(*parse(address), SCHEMA, ORIGIN)
        assert "segredo" not in str(error.value)


def test_a_column_that_no_table_can_hold(tmp_path: Path) -> None:
    schema = pa.schema([("texto", pa.string()), ("fotos", pa.list_(pa.string()))])
    with pytest.raises(BadInput, match=r"column fotos: its type list.*leave it out"):
        table(tmp_path, schema)
    schema = pa.schema([("texto", pa.string()), ("preco", pa.decimal128(5, -2))])
    with pytest.raises(BadInput, match="column preco: its type decimal128"):
        table(tmp_path, schema)


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
    sink = table(tmp_path, batch.schema)
    sink.write(ArrowRows(batch))
    sink.commit()
    kept = select("select texto, dia, preco, nota from predicoes order by texto desc", tmp_path)
    assert kept == [("halo", "2024-02-29", 19.9, None), ("boneca", None, None, None)]
    declared = dict(select("select name, type from pragma_table_info('predicoes')", tmp_path))
    assert (declared["dia"], declared["preco"]) == ("DATE", "NUMERIC(7, 2)")


def test_answers_are_columns_behind_those_of_the_input() -> None:
    read = pa.schema([("id", pa.string()), ("nome", pa.string())])
    written = pa.schema([*read, ("um", pa.string()), ("dois", pa.string())])
    rows = TextRows([["1", "boneca"], ["2", "halo"]], read)
    answered = AnsweredRows(rows, [["a", "b"], ["c", "d"]], written)
    assert list(answered.values()) == [["1", "boneca", "a", "c"], ["2", "halo", "b", "d"]]
    assert answered.batch().to_pylist() == [
        {"id": "1", "nome": "boneca", "um": "a", "dois": "c"},
        {"id": "2", "nome": "halo", "um": "b", "dois": "d"},
    ]


def test_differences_are_counted_and_drawn(tmp_path: Path) -> None:
    found = Differences(("production", "staging"))
    found.add(["a", "b"], ["livro", "game"], ["livro", "livro"])
    found.add(["c", "d"], ["game", "brinquedo"], ["livro", "game"])
    assert (found.products, found.differing, found.share) == (4, 3, 0.75)
    assert found.ranked() == [("game", "livro", 2), ("brinquedo", "game", 1)]
    lines = found.table().splitlines()
    assert lines[0] == "production and staging differ on 3 of 4 products (75.00%)"
    assert lines[2].split() == ["game", "livro", "2", "b"]
    found.save(tmp_path)
    assert (tmp_path / "differences.csv").read_text(encoding="utf-8").splitlines() == [
        "texto;production;staging",
        "b;game;livro",
        "c;game;livro",
        "d;brinquedo;game",
    ]
    assert "livro;livro;1;" in (tmp_path / "summary.csv").read_text(encoding="utf-8")
    assert (tmp_path / "differences.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (10, "p09"),
        (11, "… and 1 more pair of answers"),
        (12, "… and 2 more pairs of answers"),
    ],
)
def test_pairs_that_are_not_shown_are_counted(pairs: int, said: str) -> None:
    found = Differences(("1", "2"))
    names = [f"p{n:02}" for n in range(pairs)]
    found.add(names, names, ["outra"] * pairs)
    lines = found.table().splitlines()
    assert said in lines[-1]
    assert len(lines) == 12 + (pairs > 10)


def test_nothing_compared_is_no_difference(tmp_path: Path) -> None:
    found = Differences(("1", "2"))
    assert found.share == 0.0
    found.save(tmp_path)
    assert not (tmp_path / "differences.png").exists()
