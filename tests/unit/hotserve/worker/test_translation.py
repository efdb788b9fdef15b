"""What the model's process is sent, for each kind of model."""

import json

import pytest

from hotserve.inputs.model_input import TABLE, TEXTS, TextInput
from hotserve.ipc.messages import Target
from hotserve.worker.errors import RequestError
from hotserve.worker.upstream.translation import Translated, translate

COLUMNS = TextInput("columns", ("review",))
MISDECLARED = TextInput("misdeclared", ("review",))
CSV, JSON = b"text/csv", b"application/json"


def sent(
    wanted: TextInput, content_type: bytes, body: bytes, csv_means: str = "auto"
) -> Translated:
    return translate(Target(1, 1, "1", "3.0", wanted), content_type, body, csv_means)


@pytest.mark.parametrize("content_type", [CSV, b"Text/CSV", b"text/csv; charset=UTF-8"])
def test_csv_becomes_json_for_a_model_of_texts(content_type: bytes) -> None:
    translated = sent(TEXTS, content_type, b"id;nome\n1;boneca\n2;\n3;halo\n")
    assert translated.content_type == JSON
    assert json.loads(translated.body) == {"inputs": ["boneca", "halo"]}
    assert translated.rows == 2


@pytest.mark.parametrize(
    "body",
    [
        "Review\ngood\ngood",
        "review \ngood\ngood",
        "id;review\n7;good\n8;good",
        "\ufeffREVIEW|id\ngood|7\ngood",
    ],
)
def test_the_column_of_a_signature_is_found(body: str) -> None:
    translated = sent(COLUMNS, CSV, body.encode())
    split = {"columns": ["review"], "data": [["good"], ["good"]]}
    assert json.loads(translated.body) == {"dataframe_split": split}
    assert translated.rows == 2


@pytest.mark.parametrize(
    "body", [b"age,fare\n5,\n60,2\n", b"name,age\nBob,5\n", b"day\n2026-11-25\n"]
)
@pytest.mark.parametrize("content_type", [CSV, JSON])
def test_a_model_of_tables_gets_what_came(content_type: bytes, body: bytes) -> None:
    assert sent(TABLE, content_type, body) == (content_type, body, None)


@pytest.mark.parametrize(
    ("wanted", "csv_means", "expected"),
    [
        (TABLE, "text", {"inputs": ["a,b", "c"]}),
        (TEXTS, "text", {"inputs": ["a,b", "c"]}),
        (COLUMNS, "text", {"dataframe_split": {"columns": ["review"], "data": [["a,b"], ["c"]]}}),
        (TEXTS, "table", None),
        (COLUMNS, "table", None),
    ],
)
def test_the_setting_decides(wanted: TextInput, csv_means: str, expected: object) -> None:
    translated = sent(wanted, CSV, b"a,b\nc", csv_means)
    if expected is None:
        assert translated == (CSV, b"a,b\nc", None)
    else:
        assert json.loads(translated.body) == expected


def test_json_is_looked_at_whatever_the_setting() -> None:
    body = json.dumps({"dataframe_records": [{"Nome": "a"}]}).encode()
    for csv_means in ("auto", "table"):
        assert json.loads(sent(TEXTS, JSON, body, csv_means).body) == {"inputs": ["a"]}


@pytest.mark.parametrize(
    "content_type", [b"text/plain", b"text/csv; charset=latin-1", b"application/json; a=b"]
)
def test_other_types_are_the_process_s_matter(content_type: bytes) -> None:
    for wanted in (TEXTS, MISDECLARED):
        assert sent(wanted, content_type, b"Nome\na") == (content_type, b"Nome\na", None)


def test_large_json_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"dataframe_records": [{"Nome": "a"}]}).encode()
    monkeypatch.setattr("hotserve.worker.upstream.translation.LARGEST_JSON", len(body) - 1)
    assert sent(TEXTS, JSON, body) == (JSON, body, None)
    monkeypatch.setattr("hotserve.worker.upstream.translation.LARGEST_JSON", len(body))
    assert sent(TEXTS, JSON, body).rows == 1


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        (CSV, b"nome;nome\na;b", "line 1: the column nome is there twice"),
        (JSON, b'{"inputs": [{"Categoria": "a"}]}', "inputs: none of the columns Categoria"),
    ],
)
def test_what_can_not_be_read_is_the_client_s_fault(
    content_type: bytes, body: bytes, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        sent(TEXTS, content_type, body)
    assert caught.value.answer.status == 400


@pytest.mark.parametrize(("content_type", "body"), [(CSV, b"a"), (JSON, b'{"inputs": ["a"]}')])
def test_a_pipeline_that_reads_names_of_columns_answers_nothing(
    content_type: bytes, body: bytes
) -> None:
    with pytest.raises(RequestError, match="signature names a column") as caught:
        sent(MISDECLARED, content_type, body)
    assert caught.value.answer.status == 500
