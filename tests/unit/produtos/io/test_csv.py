"""CSV files as they come: what is a row, what is a bad one, and on which line it stands."""

import codecs
import csv
import gzip
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from produtos.data.columns import SEPARATORS
from produtos.errors import BadInput
from produtos.io import csv as csv_tables
from produtos.io import csv_rows, rows, storage
from produtos.io.csv import BLOCK
from produtos.io.csv_rows import LONGEST, Lines
from produtos.io.rows import BadRow
from produtos.product_model import classifier


def read(
    path: Path, *, text_column: str | None = None, encoding: str = "utf-8"
) -> tuple[list[str], list[BadRow], list[dict[str, str]]]:
    """Texts, bad rows and whole rows of a file."""
    table = csv_tables.open_table(storage.locate(str(path)), text_column, encoding)
    chunks = list(table.chunks())
    return (
        [text for chunk in chunks for text in chunk.texts],
        [bad for chunk in chunks for bad in chunk.bad],
        [row for chunk in chunks for row in chunk.rows.to_pylist()],
    )


def of(content: str | bytes, path: Path) -> tuple[list[str], list[tuple[int, str]]]:
    """Texts, and line and reason of bad rows, of a file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    texts, bad, _ = read(path)
    return texts, [(row.line, row.reason) for row in bad]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "produtos.csv"


def test_the_text_is_put_together_as_the_served_model_does(path: Path) -> None:
    path.write_text("id;Nome ;descricao\n1;boneca;de pano\n2;halo;\n3;;batom\n", encoding="utf-8")
    texts, bad, whole = read(path)
    frame = pd.read_csv(path, sep=";", dtype=str, keep_default_na=False)
    assert texts == classifier.texts_of(frame) == ["boneca de pano", "halo", "batom"]
    assert not bad
    assert whole[1] == {"id": "2", "Nome": "halo", "descricao": ""}


@pytest.mark.parametrize("delimiter", list(SEPARATORS))
def test_any_usual_delimiter_is_found(delimiter: str, path: Path) -> None:
    content = f"sku{delimiter}texto\n7{delimiter}boneca de pano\n"
    assert of(content, path) == (["boneca de pano"], [])


@pytest.mark.parametrize("first", ["sep=;\r\n", "\ufeffsep=;\r\n", '"sep=;"\n', "\nSEP=;\n"])
def test_the_line_that_tells_excel_the_delimiter_is_no_product(first: str, path: Path) -> None:
    lines = first.count("\n")
    texts, bad = of(first + "nome;id\nhalo;1\n;2\nbatom;3\n", path)
    assert (texts, bad) == (["halo", "batom"], [(lines + 3, "no text")])
    assert of(first + "nome;id\nhalo;1\nbatom;3\n", path) == (["halo", "batom"], [])
    assert of(first + "halo\nsep=;\n", path) == (["halo", "sep=;"], [])
    path.write_text("sep=\t\nid\tnome\n1\thalo\n", encoding="utf-8")
    assert read(path)[2] == [{"id": "1", "nome": "halo"}]


def test_a_line_end_in_a_row_that_is_one_quoted_field_is_just_a_character(path: Path) -> None:
    texts, bad = of('nome;descricao\n"halo\r;3"\n";\r"\nbola;azul\n', path)
    assert (texts, bad) == (["halo\r;3", "bola azul"], [(4, "no text")])


def test_empty_fields_that_the_header_does_not_name_are_nothing(path: Path) -> None:
    texts, bad = of("nome;id\nhalo;1;;\nbatom;2; \nbola;3;x\n", path)
    assert (texts, bad) == (["halo", "batom"], [(4, "too many fields")])
    assert [len(row) for row in read(path)[2]] == [2, 2]


def test_known_columns_may_be_written_as_in_portuguese(path: Path) -> None:
    assert of("NOME;Descri\u00e7\u00e3o\nboneca;de pano\n", path) == (["boneca de pano"], [])
    assert of("Informa\u00e7\u00e3o;nome\nhalo;x\n", path) == (["halo"], [])


def test_without_a_header_each_line_is_one_product(path: Path) -> None:
    content = 'boneca, de pano; azul\n\n"halo ""3"", o jogo"\r\n   \nbatom "matte"\n'
    assert of(content, path) == (["boneca, de pano; azul", 'halo "3", o jogo', 'batom "matte"'], [])


def test_a_named_column_is_taken_and_must_be_there(path: Path) -> None:
    path.write_text("produto;preco\nboneca;10\n", encoding="utf-8")
    assert read(path, text_column="Produto")[0] == ["boneca"]
    with pytest.raises(BadInput, match=r"no column titulo; there are: produto, preco"):
        read(path, text_column="titulo")


def test_bad_rows_are_told_with_line_and_reason(path: Path) -> None:
    content = (
        b"nome;descricao;id\n"
        b"boneca;de pano\n"  # 2
        b"a;b;c;d\n"  # 3
        b" ; ;4\n"  # 4
        b'livro;"em duas\nlinhas"\n'  # 5 and 6
        b"\n"  # 7
        b"caf\xe9;moido\n"  # 8
        b"halo\n"  # 9
    )
    texts, bad = of(content, path)
    assert texts == ["boneca de pano", "livro em duas\nlinhas", "halo"]
    assert bad == [(3, rows.TOO_MANY_FIELDS), (4, rows.NO_TEXT), (8, rows.UNDECODABLE)]
    assert read(path)[1][2].content == r"caf\xe9;moido"


def test_a_quote_that_never_closes_costs_one_row(path: Path) -> None:
    lines = ["nome", *(f"produto {n}" for n in range(20_000))]
    lines[10_000] = '"aberto'
    texts, bad = of("\n".join(lines), path)
    assert len(texts) == 19_999
    assert texts[-1] == "produto 19999"
    assert bad == [(10_001, rows.NEVER_CLOSED)]


def test_a_quote_that_stays_open_over_more_than_a_row_may_hold_costs_one_row(path: Path) -> None:
    filler = "x" * 1000
    lines = ["nome", '"aberto', *(f"{filler} {n}" for n in range(3_000))]
    texts, bad = of("\n".join(lines), path)
    assert len(texts) == 3_000
    assert bad == [(2, rows.NEVER_CLOSED)]


@pytest.mark.parametrize(
    "below",
    [
        '"boneca; com ponto";x',
        'boneca 15" LED;"desc; 2"',
        '"boneca ""Lili""; azul";"duas\nlinhas"',
        '"outra aberta;x',
    ],
)
@pytest.mark.parametrize("spoilt", [False, True])
def test_a_quote_below_does_not_close_one_that_was_left_open(
    below: str, spoilt: bool, path: Path
) -> None:
    """Nor when something else in its block is broken, so that each row is looked at."""
    names = [f"boneca {n}" for n in range(37)]
    good = [f"{name};x" for name in names]
    content = ["nome;descricao", '"boneca aberta;x', *good, below, *good, *["a;b;c"] * spoilt]
    path.write_text("\n".join(content), encoding="utf-8")
    texts, bad, whole = read(path)
    ours = [row["nome"] for row in whole if row["descricao"] == "x" and row["nome"] in names]
    assert ours == names * 2
    assert (bad[0].line, bad[0].reason) == (2, rows.NEVER_CLOSED)
    assert bad[0].content == '"boneca aberta;x'
    only_once = '"outra' not in below
    assert len(texts) == 74 + only_once
    assert len(bad) == 2 - only_once + spoilt


def test_quotes_and_line_ends_inside_fields_are_read_beside_each_other(path: Path) -> None:
    content = 'nome;descricao\nboneca 15" LED;x\n"dita "a" boa";"duas\nlinhas"\n"a ""b""\n";y\n'
    texts = ['boneca 15" LED x', 'dita a" boa" duas\nlinhas', 'a "b"\n y']
    assert of(content, path) == (texts, [])


def test_a_gigantic_line_under_an_open_quote_costs_two_rows(path: Path) -> None:
    content = 'nome\n"aberta\nboneca\n' + "y" * (3 * LONGEST) + "\nhalo\n"
    assert of(content, path) == (
        ["boneca", "halo"],
        [(2, rows.NEVER_CLOSED), (4, rows.TOO_LONG)],
    )


def test_a_gigantic_line_costs_one_row(path: Path) -> None:
    content = "nome\nboneca\n" + "y" * (3 * LONGEST) + "\nhalo\n"
    assert of(content, path) == (["boneca", "halo"], [(3, rows.TOO_LONG)])
    assert len(read(path)[1][0].content) == rows.KEPT_OF_A_BAD_ROW


def test_a_gigantic_line_costs_one_product_without_a_header_too(path: Path) -> None:
    content = "boneca de pano\n" + "y z" * LONGEST + "\nhalo\n"
    assert of(content, path) == (["boneca de pano", "halo"], [(2, rows.TOO_LONG)])


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_of_every_system(ending: str, path: Path) -> None:
    content = ending.join(["nome", "boneca", "a;b", "halo"])
    assert of(content, path) == (["boneca", "a;b", "halo"], [])


def test_a_byte_order_mark_and_nul_bytes_do_no_harm(path: Path) -> None:
    assert of(codecs.BOM_UTF8 + b"nome;descricao\nbo\0neca;azul\n", path) == (
        ["bo\0neca azul"],
        [],
    )


def test_another_encoding_and_compression(tmp_path: Path) -> None:
    path = tmp_path / "antigo.csv.gz"
    path.write_bytes(gzip.compress("nome\nsenhor dos anéis\n".encode("cp1252")))
    assert read(path, encoding="cp1252")[0] == ["senhor dos anéis"]
    assert [bad.reason for bad in read(path)[1]] == [rows.UNDECODABLE]
    for name in ("latim", "base64"):
        with pytest.raises(BadInput, match=f"there is no encoding {name}"):
            read(path, encoding=name)


@pytest.mark.parametrize("header", ["Nome;Descrição", "Descrição;Preço", "nome;preço", "produção"])
def test_a_header_that_is_not_of_the_encoding_is_refused(header: str, path: Path) -> None:
    path.write_bytes(f"{header}\nhalo;x\n".encode("cp1252"))
    column = "produção" if header == "produção" else None
    with pytest.raises(BadInput, match=r"line 1: the names of the columns are not utf-8; .*cp1252"):
        read(path, text_column=column)
    assert read(path, encoding="cp1252", text_column=column)[0]


def test_an_encoding_that_the_mark_of_the_file_belies_is_refused(path: Path) -> None:
    path.write_bytes(codecs.BOM_UTF8 + "nome;descricao\nboné;x\n".encode())
    with pytest.raises(BadInput, match=r"begins as UTF-8 does.*as cp1252; say --encoding utf-8$"):
        read(path, encoding="cp1252")
    assert read(path, encoding="utf8")[0] == ["boné x"]


@pytest.mark.parametrize(
    "content", [b"nome\nhalo\n", "nome\nhalo\n".encode("utf-16") + b"\n", b"\xff\xfen\0\0\xdcx\0"]
)
def test_a_file_that_is_not_of_the_wide_encoding_that_was_named(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"not of the encoding that was named.*--encoding"):
        read(path, encoding="utf-16")


def test_a_header_may_have_line_ends_in_its_names(path: Path) -> None:
    content = '"código\ninterno";nome;"preço\n\n(R$)";descricao\n1;halo;9;um\n2;bola;8;dois\n;;;\n'
    path.write_text(content + "3;a;b;c;d\n", encoding="utf-8")
    texts, bad, read_rows = read(path)
    assert texts == ["halo um", "bola dois"]
    assert [(row.line, row.reason) for row in bad] == [(8, rows.TOO_MANY_FIELDS)]
    assert [*read_rows[0]] == ["código interno", "nome", "preço (R$)", "descricao"]


@pytest.mark.parametrize("more", ["", "a;b;c;d\n"])
def test_rows_of_nothing_are_empty_lines(more: str, path: Path) -> None:
    texts, bad = of("id;nome;x\n1;halo;\n;;\n ;\t;\u00a0\n2;bola;\n;;\n" + more, path)
    assert texts == ["halo", "bola"]
    assert bad == ([(7, rows.TOO_MANY_FIELDS)] if more else [])


@pytest.mark.parametrize("end", ["\x1a", "\x1a\r\n", "\0\0"])
@pytest.mark.parametrize("header", ["", "nome\n", "nome;descricao\n"])
@pytest.mark.parametrize("more", ["", "a;b;c\n"])
def test_what_dos_or_a_power_cut_leaves_at_the_end_is_no_row(
    header: str, end: str, more: str, path: Path
) -> None:
    texts, _ = of(header + "halo\nbola\n" + more + end, path)
    assert texts[:2] == ["halo", "bola"]
    assert len(texts) == 2 + (bool(more) and "descricao" not in header)


def test_the_header_again_with_its_columns_in_another_order(path: Path) -> None:
    content = "id;nome;informações adicionais\n1;halo;\nInformações adicionais;ID;NOME\nx;2;bola\n"
    assert of(content, path)[1] == [(3, rows.HEADER_AGAIN)]


def test_a_file_larger_than_a_chunk_keeps_its_order(path: Path) -> None:
    count = 2 * rows.CHUNK_ROWS + 1
    path.write_text("texto\n" + "".join(f"p {n}\n" for n in range(count)), encoding="utf-8")
    table = csv_tables.open_table(storage.locate(str(path)), None, "utf-8")
    chunks = list(table.chunks())
    assert [len(chunk.texts) for chunk in chunks] == [rows.CHUNK_ROWS, rows.CHUNK_ROWS, 1]
    assert [text for chunk in chunks for text in chunk.texts] == [f"p {n}" for n in range(count)]
    assert sum(chunk.size for chunk in chunks) == path.stat().st_size


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("nome;;x\n", "column 2 has no name"),
        ("nome;Nome \n", "line 1: the column Nome is there twice"),
    ],
)
def test_a_file_that_is_no_table(content: str, said: str, path: Path) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match=said):
        read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(
            b"PK\x03\x04\x14\0nome\n",
            "a zip file, as .xlsx and .ods are.*save the sheet as CSV",
            id="zip",
        ),
        pytest.param(b"\xd0\xcf\x11\xe0nome\n", "an .xls file", id="xls"),
        pytest.param(b"PAR1nome\n", "end its name in .parquet", id="parquet"),
        pytest.param(
            gzip.compress(b"nome\nhalo\n", mtime=0), "gzipped; end its name in .gz", id="gzip"
        ),
        pytest.param(
            "nome\nhalo\n".encode("utf-16"),
            "as UTF-16 does.*as utf-8; say --encoding utf-16$",
            id="utf-16",
        ),
        pytest.param(
            codecs.BOM_UTF16_BE + "nome\nhalo\n".encode("utf-16-be"),
            "say --encoding utf-16$",
            id="utf-16-be",
        ),
        pytest.param("nome\nhalo\n".encode("utf-32"), "say --encoding utf-32$", id="utf-32"),
    ],
)
def test_bytes_that_are_no_csv_are_not_classified(content: bytes, said: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read(path)
    packed = path.with_name("produtos.csv.gz")
    packed.write_bytes(gzip.compress(content))
    with pytest.raises(BadInput, match=said):
        read(packed)


@pytest.mark.parametrize("encoding", ["utf-16", "UTF_16", "utf-32"])
def test_a_file_with_a_wide_encoding_is_read_when_it_is_named(encoding: str, path: Path) -> None:
    path.write_bytes("nome;preço\ncafé;1\nhalo;2\n".encode(encoding))
    assert read(path, encoding=encoding)[0] == ["café", "halo"]


def carefully(file: TextIO, delimiter: str) -> Iterator[csv_rows.Row]:
    """All rows of a file, without the short cut for blocks without a bad row."""
    yield from csv_rows.careful(Lines(file.read(), file, 1), delimiter)


def test_a_row_may_begin_in_one_block_and_end_in_another(path: Path) -> None:
    rows_before = BLOCK // 8
    content = ["nome;descricao", *["boneca;x"] * rows_before]
    content += ['"halo', "em tres", 'linhas";y', "depois;z", "a;b;c", "fim;w"]
    texts, bad = of("\n".join(content), path)
    assert texts[-3:] == ["halo\nem tres\nlinhas y", "depois z", "fim w"]
    assert len(texts) == rows_before + 3
    assert bad == [(rows_before + 6, rows.TOO_MANY_FIELDS)]


@pytest.mark.parametrize("spoilt", [False, True])
def test_blocks_with_and_without_bad_rows_are_read_alike(spoilt: bool, path: Path) -> None:
    """The same long file, once with a bad row in each block."""
    choose = random.Random(1)
    names = [f"boneca {n} " + 'é; \n"x'[: choose.randrange(8)] for n in range(40_000)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(["id", "nome"])
    for n, name in enumerate(names):
        writer.writerow([n, name])
        if spoilt and n % 1000 == 0:
            writer.writerow([n, "a", "b"])
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    assert path.stat().st_size > BLOCK
    texts, bad, _ = read(path)
    assert texts == names
    assert len(bad) == (40 if spoilt else 0)
    lines = text.getvalue().split("\n")
    assert all(lines[row.line - 1].rstrip("\r") == row.content for row in bad)


field = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(field, field), min_size=1, max_size=30), st.sampled_from(";,\t"))
def test_whatever_a_csv_writer_writes_is_read(table: list[tuple[str, str]], delimiter: str) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(["nome", "descricao"])
    writer.writerows(table)
    text.seek(0)
    found = [fields for _, fields, _ in carefully(text, delimiter)]
    filled = [list(row) for row in table if any(map(str.strip, row))]
    assert found == [["nome", "descricao"], *filled]


@given(st.binary(max_size=400))
def test_no_bytes_stop_the_reading_and_no_line_is_lost(noise: bytes) -> None:
    stream = io.TextIOWrapper(
        io.BytesIO(b"nome;descricao\n" + noise + b"\nfim;do arquivo\n"),
        "utf-8",
        errors="surrogateescape",
        newline="",
    )
    found = list(carefully(stream, ";"))
    numbers = [number for number, _, _ in found]
    assert numbers == sorted(set(numbers))
    # A quote in the noise may take the last line into its row, but not out of the file.
    assert "fim;do arquivo" in found[-1][2]
