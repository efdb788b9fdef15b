"""Tables in JSON, with names of columns as people write them."""

import json
from typing import Any

import pytest

from hotserve.inputs.bodies import CsvError
from hotserve.inputs.json_tables import translate
from hotserve.inputs.model_input import TEXTS, TextInput

COLUMNS = TextInput("columns", ("nome", "descricao"))
REVIEW = TextInput("columns", ("review",))
NAMES = ["id", " Nome", "Descri\u00e7\u00e3o", "categoria"]
ROW = [7, "boneca", "de pano", "brinquedo"]
OTHER = [8, "halo", None, None]
RECORDS = [dict(zip(NAMES, ROW, strict=True)), {"id": 8, " Nome": "halo"}]


@pytest.mark.parametrize(
    "form",
    [
        {"dataframe_split": {"columns": NAMES, "data": [ROW, OTHER]}},
        {"dataframe_split": {"columns": NAMES, "index": [4, 5], "data": [ROW, OTHER]}},
        {"dataframe_records": RECORDS},
        {"inputs": RECORDS},
        {"instances": RECORDS},
        {"inputs": {name: [ROW[at], OTHER[at]] for at, name in enumerate(NAMES)}},
    ],
    ids=lambda form: " ".join([*form, type(next(iter(form.values()))).__name__]),
)
def test_names_are_folded_in_every_form(form: dict[str, Any]) -> None:
    params = {"probabilities": True}
    body = json.dumps({**form, "params": params}).encode()
    sent, rows = translate(body, TEXTS)
    assert (json.loads(sent), rows) == (
        {"inputs": ["boneca de pano", "halo"], "params": params},
        2,
    )
    sent, rows = translate(body, COLUMNS)
    data = [["boneca", "de pano"], ["halo", ""]]
    split = {"columns": ["nome", "descricao"], "data": data}
    assert (json.loads(sent), rows) == ({"dataframe_split": split, "params": params}, 2)


def test_a_column_of_the_model_is_found() -> None:
    body = json.dumps({"dataframe_records": [{"id": 1, "Review ": "good"}]}).encode()
    sent, rows = translate(body, REVIEW)
    assert json.loads(sent) == {"dataframe_split": {"columns": ["review"], "data": [["good"]]}}
    assert rows == 1


@pytest.mark.parametrize(
    ("request_", "wanted", "rows"),
    [
        ({"inputs": ["a", "b"]}, TEXTS, 2),
        ({"instances": ["a"]}, TEXTS, 1),
        ({"inputs": "a"}, TEXTS, None),
        ({"inputs": {"texto": "a"}}, TEXTS, None),
        ({"inputs": {"texto": ["a", "b"], "nome": ["c"]}}, TEXTS, None),
        ({"inputs": [["a"], ["b"]]}, TEXTS, 2),
        ({"inputs": [{"texto": "a"}, "b"]}, TEXTS, 2),
        ({"dataframe_split": {"columns": ["nome", "descricao"], "data": [["a", "b"]]}}, COLUMNS, 1),
        ({"dataframe_split": {"columns": ["Nome"], "data": [[7]]}}, COLUMNS, 1),
        ({"dataframe_split": {"columns": ["Nome"], "data": [["a"], ["b", "c"]]}}, COLUMNS, None),
        ({"dataframe_split": {"columns": ["Nome"], "data": []}}, COLUMNS, 0),
        ({"dataframe_split": {"columns": [1], "data": [["a"]]}}, COLUMNS, None),
        ({"dataframe_split": {"data": [["a"]]}}, COLUMNS, None),
        ({"dataframe_split": {"columns": ["Nome"], "data": [["a"]], "b": 1}}, COLUMNS, None),
        ({"dataframe_split": 7}, COLUMNS, None),
        ({"dataframe_records": [{"sepal": 5.1}]}, TEXTS, 1),
        ({"dataframe_records": [{"Texto": "a"}]}, REVIEW, 1),
        ({"inputs": ["a"], "instances": ["a"]}, TEXTS, None),
        ({"nothing": 1}, TEXTS, None),
        (["a"], TEXTS, None),
    ],
)
def test_everything_else_stays_as_it_came(
    request_: object, wanted: TextInput, rows: int | None
) -> None:
    body = json.dumps(request_).encode()
    assert translate(body, wanted) == (body, rows)


def test_a_request_with_more_than_a_table_stays_as_it_came() -> None:
    body = b'{"inputs": [{"Nome": "halo"}], "messages": null}'
    assert translate(body, TEXTS) == (body, None)


def test_what_is_no_json_stays_as_it_came() -> None:
    assert translate(b"{", TEXTS) == (b"{", None)
    deep = b"[" * 100_000
    assert translate(deep, TEXTS) == (deep, None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nome", "Nome"], "dataframe_split: the column nome is there twice"),
        (["Categoria"], "dataframe_split: none of the columns Categoria holds a text"),
    ],
)
def test_columns_that_can_not_be_classified(names: list[str], message: str) -> None:
    body = json.dumps({"dataframe_split": {"columns": names, "data": [["a"] * len(names)]}})
    with pytest.raises(CsvError, match=message):
        translate(body.encode(), TEXTS)


@pytest.mark.parametrize(
    ("split", "part"),
    [
        ({"columns": ["nome"], "data": {}}, "data"),
        ({"columns": {"nome": None}, "data": []}, "columns"),
        ({"columns": "nome", "data": [["halo"]]}, "columns"),
    ],
)
def test_a_split_table_is_made_of_lists(split: dict[str, Any], part: str) -> None:
    with pytest.raises(CsvError, match=f"dataframe_split: '{part}' must be a list"):
        translate(json.dumps({"dataframe_split": split}).encode(), TEXTS)


def test_half_a_surrogate_pair_is_carried() -> None:
    body = json.dumps({"inputs": [{"Texto": "\ud83d"}]}).encode()
    sent, _ = translate(body, TEXTS)
    assert json.loads(sent.decode(errors="surrogatepass")) == {"inputs": ["\ud83d"]}
