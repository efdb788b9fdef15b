"""text/csv as products."""

import csv
import io
import json
import tracemalloc
from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hotserve.inputs import csv as csv_body
from hotserve.inputs import mlflow_json
from hotserve.inputs.bodies import CsvError
from hotserve.inputs.csv_header import SEPARATORS
from hotserve.inputs.model_input import TEXTS, TextInput
from hotserve.inputs.single_text import single_text
from tests.support.products import products


def texts(body: str) -> list[str]:
    return products(body.encode()).texts()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("boneca de pano", ["boneca de pano"]),
        ("boneca, de pano; azul", ["boneca, de pano; azul"]),
        ("a\nb\r\nc\rd", ["a", "b", "c", "d"]),
        ("\n\na\n   \nb\n", ["a", "b"]),
        ('"quebra-cabeça, 500 peças"', ["quebra-cabeça, 500 peças"]),
        ('"o ""grande"" jogo"', ['o "grande" jogo']),
        ('"halo" jogo', ['"halo" jogo']),
        ('"halo", "jogo"', ['"halo", "jogo"']),
        ('"sem fim', ['"sem fim']),
        ('boneca 12"', ['boneca 12"']),
        ("nome do jogo", ["nome do jogo"]),
        ("preço;id\na;1", ["preço;id", "a;1"]),
        (" boneca\n\ufeffde pano", [" boneca", "\ufeffde pano"]),
        ("[novo] boneca", ["[novo] boneca"]),
        ("{halo}", ["{halo}"]),
        ("<b>boneca</b>", ["<b>boneca</b>"]),
        ("<html> para iniciantes", ["<html> para iniciantes"]),
        ("a\x00", ["a\x00"]),
        ("livro\nnome, por extenso\ntexto", ["livro", "nome, por extenso", "texto"]),
        ("\ufeffboneca", ["boneca"]),
        ("linha\u2028inteira\x0b", ["linha\u2028inteira\x0b"]),
    ],
)
def test_without_a_header_every_line_is_a_product(body: str, expected: list[str]) -> None:
    assert texts(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("nome,descricao\nboneca,de pano", ["boneca de pano"]),
        ("descricao;nome\nde pano;boneca", ["boneca de pano"]),
        ("NOME ; Descricao\nboneca;de pano", ["boneca de pano"]),
        ("nome,descricao\nboneca,\n,de pano\nhalo", ["boneca", "de pano", "halo"]),
        ("nome;preço\na;1", ["a"]),
        ("nome;descricao;;\na;b;;\nc;d;;;;", ["a b", "c d"]),
        ('nome;descricao\n"a;b"', ["a b"]),
        ('nome;descricao\n"a;b;c"', ["a;b;c"]),
        ("nome;descricao\nnome;de pano\nnome", ["nome de pano", "nome"]),
        ('"nome","descricao"\n"boneca","de, pano"', ["boneca de, pano"]),
        ('nome,descricao\n"duas\nlinhas",x', ["duas\nlinhas x"]),
        ("texto\nquebra-cabeça, 500 peças\n\nhalo", ["quebra-cabeça, 500 peças", "halo"]),
        ("texto,nome\ninteiro,parte", ["inteiro"]),
        ("informacao;nome\ninteiro;parte", ["inteiro"]),
        ("nome\nhalo\n", ["halo"]),
    ],
)
def test_a_header_of_known_names_makes_a_table(body: str, expected: list[str]) -> None:
    assert texts(body) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b"\r\n  \n", "empty"),
        (b"texto\n", "no rows"),
        (b"texto\n \n\t\n", "no rows"),
        (b"nome;preco\n;1", "no rows"),
        (b"a\nboneca \xe9", "line 2 is not UTF-8: byte 9 is 0xe9, in Windows-1252 'é'"),
        (b"\x1f\x8b\x08", "gzipped"),
        (b"\xd0\xcf\x11\xe0", "xls"),
        (b"nome,descricao\na,b,c", "line 2 has 3 fields"),
        (b'nome,descricao\n\n"a\r\n b",c\n,\n"a,b"\na,b,c', "line 7 has 3 fields"),
        (b'texto\n"a\n\n b"\n\nTEXTO\n', "line 6 is the header again"),
        (b'nome,descricao\na,b\n"c,d\ne,f\n', "line 3: a double quote .* never closed"),
        (b'texto\n"', "line 2: a double quote"),
        (b'texto\n"a\n b"\n"c', "line 4: a double quote"),
        (b'"texto\na', "line 1: a double quote"),
    ],
)
def test_what_can_not_be_read_is_named(body: bytes, message: str) -> None:
    with pytest.raises(CsvError, match=message):
        products(body)


@pytest.mark.parametrize("end", ["", "\n", "\r\n\n"])
def test_the_line_ends_of_a_large_table_may_be_lost(end: str) -> None:
    lost = "nome;descricao;preço" + "".join(f"ioiô {n};de pau;{n}" for n in range(1000))
    with pytest.raises(CsvError, match=r"names columns \(nome, descricao\).*--data-binary"):
        texts(lost + end)


def test_a_long_text_may_have_the_name_of_a_column_in_it() -> None:
    text = f"livro; nome; {'muito bom ' * 2000}"
    assert texts(text) == [text]


def test_lines_of_a_report_above_a_header_are_few() -> None:
    above = ["boneca de pano"] * 10
    with pytest.raises(CsvError, match="line 11"):
        texts("\n".join([*above, "nome;descricao", "halo;um jogo"]))
    above *= 30
    assert texts("\n".join([*above, "nome;descricao"])) == [*above, "nome;descricao"]


_line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(_line.filter(str.strip), min_size=1))
def test_one_prediction_a_line(lines: list[str]) -> None:
    """Whatever the lines hold, unless the first is a header."""
    body = "\n".join(lines).encode()
    assume(single_text(lines[0].encode()) is not None)
    assert len(products(body).rows) == len(lines)


_field = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="ÃÂ\x00"))


@given(
    st.lists(st.tuples(_field, _field.filter(str.strip)), min_size=1),
    st.sampled_from(SEPARATORS),
    st.sampled_from(["", "\ufeff", "\ufeff\ufeff", "sep=;\n", "\ufeffsep=;\r\n\ufeff", "\n \n"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_a_table_written_by_a_csv_writer_comes_back(
    rows: list[tuple[str, str]], separator: str, before: str, line_end: str, quoting: Literal[1, 2]
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writerow(["Nome", "id", "descrição"])
    writer.writerows((name, "7", description) for name, description in rows)
    found = products((before + file.getvalue()).encode())
    assert found.columns == ("nome", "descricao")
    assert [tuple(row) for row in found.rows] == rows


@pytest.mark.parametrize(
    ("body", "wanted", "expected"),
    [
        ("a\nb", TEXTS, {"inputs": ["a", "b"]}),
        ("nome,descricao\na,b", TEXTS, {"inputs": ["a b"]}),
        (
            "a",
            TextInput("columns", ("texto",)),
            {"dataframe_split": {"columns": ["texto"], "data": [["a"]]}},
        ),
        (
            "descricao,nome\nb,a",
            TextInput("columns", ("nome", "descricao")),
            {"dataframe_split": {"columns": ["nome", "descricao"], "data": [["a", "b"]]}},
        ),
        (
            "a",
            TextInput("columns", ("nome", "descricao")),
            {"dataframe_split": {"columns": ["nome", "descricao"], "data": [["a", ""]]}},
        ),
        (
            "nome,descricao\na,b",
            TextInput("columns", ("review",)),
            {"dataframe_split": {"columns": ["review"], "data": [["a b"]]}},
        ),
    ],
)
def test_products_take_the_form_that_the_model_takes(
    body: str, wanted: TextInput, expected: object
) -> None:
    sent, rows = mlflow_json.to_json([products(body.encode(), wanted.columns)], wanted)
    assert json.loads(sent) == expected
    assert rows == body.count("\n") + (body[0] == "a")


# Few characters, those that mean something in CSV among them, so that they meet often.
_body = st.text(st.sampled_from('ab,;"\n\r \x0b\u2028é'), max_size=60)
_header = st.sampled_from(["", "texto\n", "nome,descricao\r\n", "descricao;nome\n", "\n,\nnome\n"])


@given(_header, _body, st.sampled_from([TEXTS, TextInput("columns", ("nome", "descricao"))]))
def test_a_large_body_is_read_as_a_small_one(header: str, rest: str, wanted: TextInput) -> None:
    body = (header + rest).encode()

    def outcome(size: int) -> list[Sequence[str]] | str:
        try:
            parts = list(csv_body.read(body, wanted.columns, size))
        except CsvError as error:
            return str(error)
        assert all(len(part.rows) <= size for part in parts)
        return [tuple(row) for part in parts for row in part.rows]

    whole = outcome(1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_body, "_PIECE", 3)
        assert outcome(2) == whole


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r", " \n"])
def test_a_body_of_blanks_is_empty_however_long(blank: str) -> None:
    with pytest.raises(CsvError, match="empty"):
        products(blank.encode() * 500_000)


@pytest.mark.parametrize("header", [b"", b"nome;descricao\n", b"nome,descricao\n"])
def test_a_line_of_nothing_but_delimiters_takes_little_memory(header: bytes) -> None:
    """Each field would be an object of its own."""
    delimiter = b";" if b";" in header else b","
    body = header + (8 << 20) * delimiter
    tracemalloc.start()
    try:
        if header:
            with pytest.raises(CsvError, match="line 2 has more than 1048576 fields"):
                products(body)
        else:
            assert len(products(body, ["nome"]).rows) == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(body)


# Letters of names, and what may stand in and around them, so that they meet often.
_PIECES = "nome NOME texto descrição no me categoria a é , ; | sep= [ Ã £ Ⓝ ｎ _ 7"
_ODD_PIECES = (" ", "\t", "\u00a0", "\u200b", "\ufeff", "\u0301")
_line_near_a_name = st.lists(st.sampled_from([*_PIECES.split(" "), *_ODD_PIECES]), max_size=6).map(
    "".join
)


@given(_line_near_a_name, st.sampled_from(["", "\n", "\r\n"]))
@example("no\tme", "\n")
def test_what_is_quickly_taken_for_one_text_is_one(line: str, line_end: str) -> None:
    text = single_text((line + line_end).encode())
    if text is not None:
        assert products((line + line_end).encode()) == csv_body.Products((), [(text,)])


@pytest.mark.parametrize("text", ["boneca de pano", "camisa; textura", "não, é", " halo", "a_b"])
def test_plain_texts_are_taken_quickly(text: str) -> None:
    for line_end in ("", "\n", "\r\n"):
        assert single_text((text + line_end).encode()) == text


@pytest.mark.parametrize(
    "run", ["x,", ",n", ",nãã", "\u00a0", "ã", ",no\u200bm", "no\u0301", ", "], ids=ascii
)
def test_no_line_is_slow_to_look_at(run: str) -> None:
    """Quadratic, it would take minutes."""
    single_text((run * 200_000).encode())
