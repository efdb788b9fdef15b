"""Outputs are there in whole or not at all."""

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from produtos.errors import BadInput
from produtos.io import sinks
from produtos.io.rows import LIKELY_CAUSES, NO_TEXT, TOO_LONG, UNDECODABLE, BadRow
from produtos.io.sinks import BadRows, Close, Output, Write, csv_text
from produtos.io.storage import locate
from tests.unit.produtos.io.samples import ONE, ORIGIN, SCHEMA, TWO, batch


@contextmanager
def csv_file(path: Path) -> Iterator[Write]:
    with sinks.csv_file(locate(str(path)), SCHEMA.names) as write:
        yield lambda rows: write(csv_text(row.values() for row in rows.to_pylist()))


def parquet_file(path: Path) -> Output:
    return sinks.parquet_file(locate(str(path)), SCHEMA, ORIGIN)


both = pytest.mark.parametrize("make", [csv_file, parquet_file])


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_line_end_inside_of_a_text_is_not_the_end_of_its_row(end: str, tmp_path: Path) -> None:
    with csv_file(tmp_path / "saida.csv") as write:
        write(batch((1, f"azul{end}claro", "livro"), (2, "halo", "game")))
    row, other = f'1;"azul{end}claro";livro\n', "2;halo;game\n"
    assert (tmp_path / "saida.csv").read_bytes().decode() == f"id;texto;categoria\n{row}{other}"


@both
def test_a_file_has_its_name_only_when_finished(
    make: Callable[[Path], Output], tmp_path: Path
) -> None:
    path = tmp_path / "saida"
    path.write_text("de ontem", encoding="utf-8")
    with make(path) as write:
        write(ONE)
        assert path.read_text(encoding="utf-8") == "de ontem"
        write(TWO)
    assert [each.name for each in tmp_path.iterdir()] == ["saida"]
    assert path.read_bytes() != b"de ontem"


@both
def test_a_file_that_was_not_finished_leaves_what_was_there(
    make: Callable[[Path], Output], tmp_path: Path
) -> None:
    path = tmp_path / "saida"
    path.write_text("de ontem", encoding="utf-8")
    with suppress(KeyboardInterrupt), make(path) as write:
        write(ONE)
        raise KeyboardInterrupt
    assert [each.name for each in tmp_path.iterdir()] == ["saida"]
    assert path.read_text(encoding="utf-8") == "de ontem"


def test_csv_is_read_back_as_it_was(tmp_path: Path) -> None:
    with csv_file(tmp_path / "a.csv") as write:
        write(ONE)
        write(TWO)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file, delimiter=";")) == [
            ["id", "texto", "categoria"],
            ["1", 'boneca "Lili"; azul', "brinquedo"],
            ["2", "halo\n3\r", "game"],
            ["3", "ação", "livro"],
        ]


def test_parquet_keeps_types_and_says_what_made_it(tmp_path: Path) -> None:
    with parquet_file(tmp_path / "a.parquet") as write:
        write(TWO)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.to_pylist() == TWO.to_pylist()
    assert table.schema.metadata[b"versao"] == b"2"


@both
def test_a_place_that_cannot_be_written(make: Callable[[Path], Output], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"), make(tmp_path / "nada" / "saida"):
        pass
    with pytest.raises(BadInput, match="this is a folder"), make(tmp_path):
        pass


@both
def test_what_another_job_is_writing_is_left_to_it(
    make: Callable[[Path], Output], tmp_path: Path
) -> None:
    others = tmp_path / f".saida.{os.getpid()}.part"
    others.write_text("half", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be written"), make(tmp_path / "saida"):
        pass
    assert others.read_text(encoding="utf-8") == "half"


def test_bad_rows_are_listed_and_no_bad_rows_are_no_file(tmp_path: Path) -> None:
    path = tmp_path / "rejeitadas.csv"
    bad = BadRows(str(path), "utf-8", "utf-8")
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
    BadRows(str(path), "utf-8", "utf-8").commit()
    assert not path.exists()


def test_a_write_that_fails_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def write_rows(ways: tuple[Write, Close]) -> None:
        with sinks.whole_file(locate(str(tmp_path / "saida")), lambda _: ways) as write:
            write(ONE)

    for ways in ((full, full), (print, full)):
        with pytest.raises(BadInput, match=r"cannot be written \(No space left on device\)"):
            write_rows(ways)
        assert not list(tmp_path.iterdir())


def test_a_list_of_bad_rows_that_was_not_finished_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "rejeitadas.csv"
    path.write_text("de ontem", encoding="utf-8")
    with suppress(KeyboardInterrupt), BadRows(str(path), "utf-8", "utf-8") as bad:
        bad.write([BadRow("a.csv", 3, "no text", ";;")])
        raise KeyboardInterrupt
    assert [each.name for each in tmp_path.iterdir()] == ["rejeitadas.csv"]
    assert path.read_text(encoding="utf-8") == "de ontem"


def test_bad_rows_of_one_kind_come_with_their_likely_cause(tmp_path: Path) -> None:
    path = tmp_path / "rejeitadas.csv"
    for reason, cause in LIKELY_CAUSES.items():
        bad = BadRows(str(path), "utf-8", "utf-8")
        bad.write([BadRow("a.csv", line, reason, "x") for line in (2, 3)])
        bad.commit()
        said = cause.format(encoding="utf-8")
        assert path.read_text(encoding="utf-8").splitlines()[3:] == [
            f";;likely cause: {said};" if ";" not in said else f';;"likely cause: {said}";'
        ]
        assert bad.summary() == f"2 rows left out (2 {reason}), listed in {path}; {said}"
    bad = BadRows(str(path), "utf-8", "utf-8")
    bad.write([BadRow("a.csv", 2, NO_TEXT, ""), BadRow("a.csv", 3, TOO_LONG, "x")])
    assert bad.likely_cause() == ""
    bad.write([BadRow("a.csv", 4, UNDECODABLE, "x")])
    assert "--encoding" in bad.likely_cause()
    bad.commit()
    assert [line[:7] for line in path.read_text(encoding="utf-8").splitlines()] == [
        "arquivo",
        *(f"a.csv;{line}" for line in (2, 3, 4)),
    ]
