"""text/csv as products."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotserve.inputs import csv as csv_body
from hotserve.inputs import mlflow_json
from hotserve.inputs import model_input as mlmodel
from hotserve.inputs.csv import CsvError
from hotserve.inputs.model_input import TEXTS, TextInput


def texts(body: str) -> list[str]:
    return csv_body.read(body.encode()).texts()


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
        ("nome;preço\na;1", ["nome;preço", "a;1"]),
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
    ("body", "told"),
    [
        (b"", "empty"),
        (b"\r\n  \n", "empty"),
        (b"texto\n", "no rows"),
        (b"boneca \xe9", "byte 7 is 0xe9"),
        (b"nome,nome\na,b", "twice"),
        (b"nome,descricao\na,b,c", "line 2 has 3 fields"),
        (b'nome,descricao\na,b\n"c,d\ne,f\n', "line 3: a double quote .* never closed"),
        (b'texto\n"', "line 2: a double quote"),
        (b'texto\n"a\n b"\n"c', "line 4: a double quote"),
        (b'"texto\na', "line 1: a double quote"),
    ],
)
def test_what_can_not_be_read_is_told(body: bytes, told: str) -> None:
    with pytest.raises(CsvError, match=told):
        csv_body.read(body)


_line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(_line.filter(str.strip), min_size=1))
def test_one_prediction_a_line(lines: list[str]) -> None:
    """Whatever the lines hold, unless the first is a header."""
    names = {field.strip().casefold() for field in lines[0].replace(";", ",").split(",")}
    if names & set(mlmodel.KNOWN_COLUMNS):
        return
    assert len(csv_body.read("\n".join(lines).encode()).rows) == len(lines)


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1), st.sampled_from(",;"))
def test_a_table_written_by_a_csv_writer_comes_back(
    rows: list[tuple[str, str]], delimiter: str
) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["nome", "descricao"])
    writer.writerows(rows)
    try:
        body = file.getvalue().encode()
    except UnicodeEncodeError:
        return
    assert [tuple(row) for row in csv_body.read(body).rows] == rows


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
    assert json.loads(mlflow_json.to_json(csv_body.read(body.encode()), wanted)) == expected


def test_tables_that_are_not_of_products_are_known() -> None:
    assert csv_body.is_table_of_numbers(b"sepal,petal\n5.1,3.5\n4.9,3.0\n")
    assert not csv_body.is_table_of_numbers(b"halo\nboneca")
    assert not csv_body.is_table_of_numbers(b"boneca de pano")
    assert csv_body.is_stock_table(b"id,review\n1,good", ["review"])
    assert csv_body.is_stock_table(b"review\ngood", ["review"])
    assert not csv_body.is_stock_table(b"a good review", ["review"])
    assert not csv_body.is_stock_table(b"nome,descricao\na,b", ["nome", "descricao"])


def signature(*inputs: object) -> str:
    return f"signature:\n  inputs: '{json.dumps(inputs)}'\n"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("flavors: {}\n", TextInput("unknown")),
        ("signature:\n  inputs: null\n  params: '[]'\n", TextInput("unknown")),
        (signature({"type": "string", "required": True}), TEXTS),
        (signature({"type": "string", "name": "review"}), TextInput("columns", ("review",))),
        (
            signature({"type": "string", "name": "nome"}, {"type": "string", "name": "descricao"}),
            TextInput("columns", ("nome", "descricao")),
        ),
        (
            signature({"type": "string", "name": "city"}, {"type": "string", "name": "street"}),
            TextInput("table"),
        ),
        (signature({"type": "double", "name": "sepal"}), TextInput("table")),
        (signature({"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}), TEXTS),
        (
            signature({"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}),
            TextInput("table"),
        ),
        ("][", TextInput("unknown")),
    ],
)
def test_the_signature_tells_whether_csv_is_texts(
    declared: str, expected: TextInput, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text(declared)
    assert mlmodel.read(tmp_path) == expected


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ({"inputs": ["halo", "boneca"]}, TEXTS),
        ({"inputs": [[5.1, 3.5]]}, TextInput("table")),
        ({"dataframe_split": {"columns": ["sepal"], "data": [[1]]}}, TextInput("table")),
        (
            {"dataframe_split": {"columns": ["nome", "descricao"], "data": [["a", "b"]]}},
            TextInput("columns", ("nome", "descricao")),
        ),
    ],
)
def test_without_a_signature_the_input_example_tells(
    example: object, expected: TextInput, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text("saved_input_example_info:\n  serving_input_path: s.json\n")
    (tmp_path / "s.json").write_text(json.dumps(example))
    assert mlmodel.read(tmp_path) == expected


def outcome(read: Callable[[], bytes]) -> bytes | str:
    try:
        return read()
    except CsvError as error:
        return str(error)


# Few characters, those that mean something in CSV among them, so that they meet often.
_body = st.text(st.sampled_from('ab,;"\n\r \x0b\u2028é'), max_size=60)
_header = st.sampled_from(["", "texto\n", "nome,descricao\r\n", "descricao;nome\n", "\n,\nnome\n"])


@given(_header, _body, st.sampled_from([TEXTS, TextInput("columns", ("nome", "descricao"))]))
def test_a_large_body_is_read_as_a_small_one(header: str, rest: str, wanted: TextInput) -> None:
    body = (header + rest).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_body, "_PIECE", 3)
        large = outcome(lambda: mlflow_json.large_to_json(body, wanted))
    assert large == outcome(lambda: mlflow_json.to_json(csv_body.read(body), wanted))


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r", " \n"])
def test_a_body_of_blanks_is_empty_however_long(blank: str) -> None:
    with pytest.raises(CsvError, match="empty"):
        csv_body.read(blank.encode() * 500_000)


@pytest.mark.parametrize("header", [b"", b"nome;descricao\n", b"nome,descricao\n"])
def test_a_line_of_nothing_but_delimiters_takes_little_memory(header: bytes) -> None:
    """Each field would be an object of its own."""
    delimiter = b";" if b";" in header else b","
    body = header + (8 << 20) * delimiter
    tracemalloc.start()
    try:
        if header:
            with pytest.raises(CsvError, match="line 2 has more than 1048576 fields"):
                mlflow_json.large_to_json(body, TEXTS)
        assert not csv_body.is_table_of_numbers(body)
        assert not csv_body.is_stock_table(body, ["nome"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(body)
