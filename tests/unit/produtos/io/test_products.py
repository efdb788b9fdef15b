"""Products that are read in blocks are those of a table that is read at once."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from produtos.data import dataset, seen
from produtos.data.dataset import Product, check_categories, parse
from produtos.data.source import SHIPPED
from produtos.errors import BadInput
from produtos.io import csv
from produtos.io.products import HEAD, Products, open_products
from produtos.product_model.columns import fold
from tests.support.tables import LATIN_1, READ, REFUSED, Table

HEADER = "nome;descricao;categoria\n"


def read(address: object) -> tuple[list[Product], Products]:
    products = open_products(str(address))
    return [product for block in products.blocks() for product in block], products


@pytest.mark.parametrize("table", [each for each in READ if each.categories], ids=str)
def test_a_table_is_read_as_by_every_reader(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "tabela.csv"
    path.write_bytes(table.body)
    found, products = read(path)
    at_once = parse(table.body, str(path))
    assert found == list(at_once.products)
    summary = products.summary
    assert summary.rows_read == at_once.summary.rows_read
    assert summary.left_out == at_once.summary.left_out
    assert sorted(map(fold, summary.unused)) == sorted(map(fold, at_once.summary.unused))


@pytest.mark.parametrize("table", [*REFUSED, LATIN_1], ids=str)
def test_a_table_that_cannot_be_read_is_told_with_its_line(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "tabela.csv"
    path.write_bytes(table.body)
    with pytest.raises(BadInput) as refusal:
        check_categories(read(path)[1].summary)
    assert table.line is None or f"line {table.line}" in str(refusal.value)


def test_the_shipped_products_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "BLOCK", 10_000)
    monkeypatch.setattr(seen, "CACHE", 10)
    found, products = read("produtos.csv")
    at_once = dataset.load()
    assert found == list(at_once.products)
    summary, whole = products.summary, at_once.summary
    assert str(summary) == str(whole)
    assert summary.left_out["repeated"] > 0
    assert summary.counts == whole.counts
    assert products.position == SHIPPED.stat().st_size
    assert [each for block in products.again().blocks() for each in block] == found


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_the_head_that_is_checked_first_ends_between_lines(name: str, tmp_path: Path) -> None:
    line = "maçã;é uma fruta;comida\n"
    body = (HEADER + "boneca;;brinquedo\n" + line * (HEAD // 20)).encode()
    before = body.rfind("ç".encode(), 0, HEAD)
    body = body.replace(b"boneca", b"boneca" + b"x" * (HEAD - 1 - before), 1)
    # Read up to there alone, it would end in the middle of a character.
    with pytest.raises(UnicodeDecodeError):
        body[:HEAD].decode()
    (tmp_path / name).write_bytes(gzip.compress(body) if name.endswith("gz") else body)
    found, _ = read(tmp_path / name)
    assert [each.category for each in found] == ["brinquedo", "comida"]


def test_repeated_rows_are_told_apart_over_files_and_blocks(tmp_path: Path) -> None:
    folder = tmp_path / "tabelas"
    folder.mkdir()
    (folder / "a.csv").write_text(f"{HEADER}Halo;um;game\nboneca;;brinquedo\n;;game\n", "utf-8")
    more = f"{HEADER}halo;  UM;game\nBONECA;;livro\nnovo;;\na;b;c;d\nnovo;;livro\n"
    (folder / "b.csv.gz").write_bytes(gzip.compress(more.encode()))
    columns = {"descricao": ["de pano"], "categoria": ["brinquedo"], "preco": [9.9]}
    pq.write_table(pa.table(columns), folder / "c.parquet")
    found, products = read(folder)
    assert [(each.name, each.description, each.category) for each in found] == [
        ("Halo", "um", "game"),
        ("boneca", "", "brinquedo"),
        ("novo", "", "livro"),
        ("", "de pano", "brinquedo"),
    ]
    summary = products.summary
    assert summary.rows_read == 9
    assert summary.left_out == {
        "no_text": 1,
        "no_category": 1,
        "repeated": 1,
        "conflicting": 1,
        "misshapen": 1,
    }
    assert summary.lines["misshapen"] == [f"{folder}/b.csv.gz:5"]
    assert summary.unused == ("preco",)
    assert summary.report()["rows_dropped"]["no_text"]["lines"] == [f"{folder}/a.csv:4"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "nome;descricao\nhalo;um\n", "no column categoria"),
        ("a.csv", "halo;game\n", "no header: line 1 is halo;game"),
        ("a.csv", HEADER + "a;b;game\n" * 9_000 + 'c;"d;livro\n', "line 9002: a quote is never"),
        ("a.csv", HEADER + "a;b;game\n" * 9_000 + HEADER, "line 9002: the header again"),
        ("a.xlsx", "x", "this is a spreadsheet"),
    ],
)
def test_a_mistake_ends_it_in_one_line(name: str, content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match=said) as refusal:
        read(path)
    assert str(path) in str(refusal.value)


def test_a_parquet_file_without_categories_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"nome": ["halo"], "preco": [9.9]}), path)
    with pytest.raises(BadInput) as refusal:
        open_products(str(path))
    said = str(refusal.value)
    assert said.startswith(f"dataset {path}: the header at line 1 has no column categoria; ")
    assert "line ends" not in said


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://maria:SECRET@host/a.csv", "https://host/a.csv: what is read in blocks is a path"),
        ("ftp://host/a.csv", "only paths and"),
        ("nada.csv", "no such file or folder"),
    ],
)
def test_what_is_no_address_of_one(address: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        open_products(address)
