"""The same requests to hotserve and to plain `mlflow models serve`, on the same model.

Where the answers are to differ, `DIFFERENCES` says why, and docs/hotserve.md tells it.
"""

import gzip
import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import mlflow.sklearn
import pandas as pd
import pytest
import requests
from mlflow.models import Model
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from produtos.model import flavor as model_flavor
from produtos.model import pipeline as trainer_model
from tests.e2e.hotserve_models import TEXTS
from tests.e2e.hotserve_process import PATIENCE, running_hotserve
from tests.e2e.stock_server import stock_server
from tests.support.commands import ROOT
from tests.support.tables import TABLES, Table

DOCS = ROOT / "docs" / "hotserve.md"

CSV = "text/csv"
JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"

DIFFERENCES = {
    "csv-lines": "Every line is a product; stock MLflow takes the first one for a header.",
    "csv-commas": "A comma is part of a product's text; stock MLflow cuts the line there.",
    "csv-separators": "`;`, a tab and `|` separate fields as well; stock MLflow knows commas.",
    "csv-na": "`NA`, `null` and the like are texts; pandas makes missing values of them.",
    "csv-bad-row": "A row that is too long is told with its line, in our words.",
    "csv-empty": "An empty body is told in our words.",
    "csv-not-utf8": "The error names the byte.",
    "type-case": "A media type may be in capitals (RFC 9110, 8.3.1); stock MLflow answers 415.",
    "no-content-type": "415 with what to send; stock MLflow answers 500.",
    "encoding": "415: the body has to come as it is; stock MLflow reads it as if it did.",
    "json-fails": "400 with what is wrong; stock MLflow answers 500.",
    "error-text": "An error that stock MLflow answers as plain text is JSON with the same status.",
    "error-detail": "404 and 405 have `error_code` and `message`, stock MLflow has `detail`.",
}
"""Where hotserve answers otherwise on purpose, and why."""


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


class Case(NamedTuple):
    """A request; `differs` is the key in `DIFFERENCES` where the answers may not be equal."""

    name: str
    content_type: str | None
    body: bytes
    differs: str | None = None
    encoding: str | None = None


def case(
    name: str,
    content_type: str | None,
    body: object,
    differs: str | None = None,
    encoding: str | None = None,
) -> Case:
    if not isinstance(body, bytes):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Case(name, content_type, body, differs, encoding)


TABLE = pd.DataFrame({"nome": ["boneca", "halo"], "descricao": ["de pano", "para console"]})
SPLIT = {"columns": ["nome", "descricao"], "data": TABLE.values.tolist()}
RECORDS = TABLE.to_dict(orient="records")

TEXT_CASES = [
    case("csv with a header", CSV, "texto\nboneca de pano\nhalo\n"),
    case("csv with two columns", CSV, "nome,descricao\nboneca,de pano\nhalo,para console\n"),
    case("csv with quotes", CSV, 'nome,descricao\n"boneca, linda","de ""pano"""\n'),
    case("csv with quoted line ends", CSV, 'nome,descricao\n"boneca\nlinda",pano\n'),
    case("csv with a charset", f"{CSV}; charset=utf-8", "texto\nboneca de pano\n"),
    case("csv with a loud charset", f"{CSV}; charset=UTF-8", "texto\nboneca de pano\n"),
    case("csv of one line", CSV, "boneca de pano"),
    case("csv of three lines", CSV, "halo\nboneca\nzelda\n", "csv-lines"),
    case("csv of a line with commas", CSV, "boneca, de pano, azul\nhalo, 2\n", "csv-commas"),
    case("csv with a category", CSV, "id,categoria,Nome\n7,brinquedo,boneca\n"),
    case("csv with semicolons", CSV, "nome;Descrição\nboneca;de pano\nhalo;\n", "csv-separators"),
    case("csv with an empty cell", CSV, "nome,descricao\nboneca,\n,halo\n"),
    case("csv of a text that pandas drops", CSV, "texto\nNA\nnull\n", "csv-na"),
    case("csv with a row too long", CSV, "nome,descricao\na,b\na,b,c,d\n", "csv-bad-row"),
    case("csv that is empty", CSV, "", "csv-empty"),
    case("csv in latin-1", CSV, "texto\nmaçã".encode("latin-1"), "csv-not-utf8"),
    case("csv with another charset", f"{CSV}; charset=latin-1", "texto\na\n", "error-text"),
    case("csv with a parameter", f"{CSV}; header=present", "texto\na\n", "error-text"),
    case("json inputs", JSON, {"inputs": ["boneca de pano", "halo"]}),
    case("json inputs, one", JSON, {"inputs": ["boneca de pano"]}),
    case("json inputs, a text", JSON, {"inputs": "boneca de pano"}),
    case("json inputs, none", JSON, {"inputs": []}),
    case("json inputs with a number", JSON, {"inputs": ["halo", 5]}),
    case("json inputs with null", JSON, {"inputs": ["halo", None]}),
    case("json inputs with NaN", JSON, '{"inputs": ["halo", NaN]}'),
    case("json inputs nested", JSON, {"inputs": [["boneca de pano"], ["halo"]]}),
    case("json inputs of columns", JSON, {"inputs": {"nome": ["boneca", "halo"]}}),
    case("json inputs of records", JSON, {"inputs": RECORDS}),
    case("json inputs of another type", JSON, {"inputs": [["a", "b"], ["c", "d"]]}),
    case("json inputs that are null", JSON, {"inputs": None}),
    case("json instances", JSON, {"instances": ["boneca de pano", "halo"]}),
    case("json instances of records", JSON, {"instances": RECORDS}),
    case("json split", JSON, {"dataframe_split": SPLIT}),
    case("json split with an index", JSON, {"dataframe_split": {**SPLIT, "index": [3, 1]}}),
    case("json split without columns", JSON, {"dataframe_split": {"data": [["halo"]]}}),
    case("json split with null", JSON, {"dataframe_split": {**SPLIT, "data": [["halo", None]]}}),
    case("json split, short row", JSON, {"dataframe_split": {**SPLIT, "data": [["halo"]]}}),
    case("json split, unknown key", JSON, {"dataframe_split": {**SPLIT, "colour": 1}}),
    case("json split, no data", JSON, {"dataframe_split": {"columns": ["nome"]}}),
    case(
        "json split, other columns", JSON, {"dataframe_split": {"columns": ["x"], "data": [["a"]]}}
    ),
    case("json records", JSON, {"dataframe_records": RECORDS}),
    case("json records, accents", JSON, {"dataframe_records": [{"Descrição": "a"}]}),
    case(
        "json records with a category",
        JSON,
        {"dataframe_records": [{"nome": "a", "categoria": "b"}]},
    ),
    case("json records that differ", JSON, {"dataframe_records": [{"nome": "a"}, {"texto": "b"}]}),
    case("json records, no list", JSON, {"dataframe_records": {"nome": "a"}}),
    case("json params false", JSON, {"inputs": ["halo"], "params": {"probabilities": False}}),
    case("json params of a wrong type", JSON, {"inputs": ["halo"], "params": {"probabilities": 1}}),
    case("json params unknown", JSON, {"inputs": ["halo"], "params": {"colour": "red"}}),
    case("json params null", JSON, {"inputs": ["halo"], "params": None}),
    case("json with a further key", JSON, {"inputs": ["halo"], "colour": "red"}),
    case("json with two forms", JSON, {"inputs": ["halo"], "instances": ["halo"]}),
    case("json with a key twice", JSON, '{"inputs": ["halo"], "inputs": ["boneca de pano"]}'),
    case("json with a byte order mark", JSON, b'\xef\xbb\xbf{"inputs": ["halo"]}'),
    case("json in UTF-16", JSON, '{"inputs": ["halo"]}'.encode("utf-16")),
    case("json in latin-1", JSON, '{"inputs": ["maçã"]}'.encode("latin-1")),
    case("json with half a surrogate pair", JSON, '{"inputs": ["\\ud83d halo"]}'),
    case("json with a charset", f"{JSON}; charset=utf-8", {"inputs": ["halo"]}),
    case("json with another charset", f"{JSON}; charset=latin-1", {"inputs": ["a"]}, "error-text"),
    case("json that is none", JSON, '{"inputs": ["halo"'),
    case("json that is a list", JSON, ["halo"]),
    case("json that is a number", JSON, "5"),
    case("json without a form", JSON, {"texto": "halo"}),
    case("json that is empty", JSON, ""),
    case("json nested 100 deep", JSON, '{"inputs": ' + "[" * 100 + "]" * 100 + "}"),
    case("json nested 1,000 deep", JSON, "[" * 1_000 + "]" * 1_000, "json-fails"),
    case("json nested a million deep", JSON, '{"inputs":' * 10**6, "json-fails"),
    case(
        "json with a number of 5,000 digits", JSON, f'{{"inputs": [{"9" * 5_000}]}}', "json-fails"
    ),
    case("json in gzip", JSON, gzip.compress(b'{"inputs": ["halo"]}'), "encoding", "gzip"),
    case("parquet", PARQUET, parquet(TABLE)),
    case("parquet that is none", PARQUET, b"PAR1 no"),
    case("another type", "application/xml", "<a/>", "error-text"),
    case("a type in capitals", "Text/CSV", "texto\nhalo\n", "type-case"),
    case("no type", None, "halo", "no-content-type"),
]

NUMBERS = load_iris(as_frame=True).data.iloc[::30]
NUMBER_CASES = [
    case("numbers: csv", CSV, NUMBERS.to_csv(index=False)),
    case("numbers: json split", JSON, {"dataframe_split": NUMBERS.to_dict(orient="split")}),
    case("numbers: json inputs", JSON, {"inputs": NUMBERS.values.tolist()}),
    case("numbers: parquet", PARQUET, parquet(NUMBERS)),
    case(
        "numbers: columns that are no names",
        JSON,
        {"dataframe_split": {"columns": [{"a": 1}], "data": [[1.5]]}},
        "json-fails",
    ),
    case("numbers: texts", JSON, {"inputs": ["boneca de pano"]}),
]

Pair = tuple[str, str]


def both(folder: Path, home: Path) -> Iterator[Pair]:
    """The addresses of hotserve and of a plain server on the model in `folder`."""
    # Some messages hold a set, in the order of its hashes.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONHASHSEED": "0"}
    with (
        running_hotserve(str(folder), home, environment) as hotserve,
        stock_server(str(folder), environment) as stock,
    ):
        hotserve.wait_for_verdicts()
        yield hotserve.url, stock


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    home = tmp_path_factory.mktemp("conformance")
    texts = [text for group in TEXTS.values() for text in group]
    labels = [label for label, group in TEXTS.items() for _ in group]
    # `null` is one category, an empty text another.
    texts += ["null", "iracema", "o cortiço"]
    labels += ["game", "livro", "livro"]
    pipeline = trainer_model.build("naive_bayes", strip_accents=True).fit(texts, labels)
    model_flavor.save_model(path=str(home / "model"), pipeline=pipeline, mlflow_model=Model())
    yield from both(home / "model", home)


@pytest.fixture(scope="module")
def servers_of_numbers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    home = tmp_path_factory.mktemp("conformance-of-numbers")
    model = DecisionTreeClassifier(random_state=1).fit(*load_iris(return_X_y=True, as_frame=True))
    mlflow.sklearn.save_model(
        model,
        home / "model",
        pip_requirements=["scikit-learn"],
        input_example=NUMBERS,
        serialization_format="skops",
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )
    yield from both(home / "model", home)


def post(url: str, case: Case) -> requests.Response:
    headers = {"Content-Type": case.content_type} if case.content_type else {}
    if case.encoding:
        headers["Content-Encoding"] = case.encoding
    return requests.post(f"{url}/invocations", case.body, headers=headers, timeout=PATIENCE)


def compare(pair: Pair, case: Case) -> None:
    with ThreadPoolExecutor() as threads:
        ours, stock = threads.map(lambda url: post(url, case), pair)
    assert ours.headers["Content-Type"] == JSON
    assert ours.status_code < 500
    if case.differs is not None:
        different = (ours.status_code, ours.content) != (stock.status_code, stock.content)
        assert different, f"{DIFFERENCES[case.differs]}: that is no difference any more"
        if case.differs == "json-fails":
            assert (ours.status_code, stock.status_code) == (400, 500)
        if case.differs == "error-text":
            assert ours.status_code == stock.status_code
            assert ours.json()["message"] == stock.text
        return
    assert ours.status_code == stock.status_code, (ours.text, stock.text)
    if stock.status_code == 200:
        assert ours.content == stock.content
        return
    error, expected = ours.json(), stock.json()
    assert error["error_code"] == expected["error_code"]
    assert error["message"].splitlines()[0] == expected["message"].splitlines()[0]
    assert "stack_trace" not in error
    assert "site-packages" not in ours.text


@pytest.mark.parametrize("case", TEXT_CASES, ids=lambda case: case.name)
def test_a_model_of_texts(servers: Pair, case: Case) -> None:
    compare(servers, case)


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_the_shared_tables(servers: Pair, table: Table) -> None:
    hotserve, _ = servers
    answer = post(hotserve, Case(table.name, CSV, table.body))
    if table.complaint:
        assert answer.status_code == 400
        assert re.search(table.complaint, answer.json()["message"], re.IGNORECASE)
        return
    expected = post(hotserve, case(table.name, JSON, {"inputs": table.texts}))
    assert answer.json() == expected.json()
    assert len(answer.json()["predictions"]) == len(table.texts)


@pytest.mark.parametrize("case", NUMBER_CASES, ids=lambda case: case.name)
def test_a_model_of_numbers(servers_of_numbers: Pair, case: Case) -> None:
    compare(servers_of_numbers, case)


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_the_small_paths(servers: Pair, path: str) -> None:
    ours, stock = (requests.get(url + path, timeout=PATIENCE) for url in servers)
    assert (ours.status_code, ours.content) == (stock.status_code, stock.content)
    assert ours.headers["Content-Type"] == stock.headers["Content-Type"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/invocations"), ("POST", "/ping"), ("GET", "/nothing")]
)
def test_what_is_not_there(servers: Pair, method: str, path: str) -> None:
    ours, stock = (requests.request(method, url + path, timeout=PATIENCE) for url in servers)
    assert ours.status_code == stock.status_code
    assert set(ours.json()) == {"error_code", "message"}


def test_every_difference_is_told_in_the_documentation() -> None:
    told = DOCS.read_text("utf-8")
    for why in DIFFERENCES.values():
        assert why in told
