"""A model behind plain `mlflow models serve`, with pickle forbidden."""

import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from mlflow.models import Model

from produtos.model import flavor as model_flavor
from produtos.model import pipeline as model
from tests.e2e.stock_server import stock_server

TRAINING = {
    "boneca de pano": "brinquedo",
    "carrinho de madeira": "brinquedo",
    "halo para xbox": "game",
    "jogo de corrida": "game",
    "o senhor dos anéis": "livro",
    "livro de contos": "livro",
}
TEXTS = ["boneca de pano", "halo", "senhor dos aneis"]
ANSWERS = ["brinquedo", "game", "livro"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a served model answers."""
    folder = tmp_path_factory.mktemp("served")
    pipeline = model.build("naive_bayes", strip_accents=True)
    pipeline.fit(list(TRAINING), list(TRAINING.values()))
    model_flavor.save_model(str(folder / "modelo"), pipeline, Model())
    environment = os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    with stock_server(str(folder / "modelo"), environment) as address:
        yield f"{address}/invocations"


def ask(url: str, body: bytes | dict[str, Any], kind: str = "application/json") -> Any:
    """The predictions; an answer that is not 200 raises `HTTPError`."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": kind})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["predictions"]


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": TEXTS},
        {"inputs": [[text] for text in TEXTS]},
        {"inputs": {"texto": TEXTS}},
        {"inputs": [{"texto": text} for text in TEXTS]},
        {"instances": TEXTS},
        {"instances": [{"nome": "boneca", "descricao": "de pano"}]
         + [{"nome": text, "descricao": None} for text in TEXTS[1:]]},
        {"dataframe_split": {"columns": ["texto"], "data": [[text] for text in TEXTS]}},
        {"dataframe_split": {"columns": ["x"], "data": [[text] for text in TEXTS]}},
        {"dataframe_records": [{"informacao": text} for text in TEXTS]},
        {"dataframe_records": [{"nome": text, "descricao": None} for text in TEXTS]},
    ],
    ids=lambda body: str(body)[:60],
)  # fmt: skip
def test_json_in_every_form(url: str, body: dict[str, Any]) -> None:
    assert ask(url, body) == ANSWERS


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        ("boneca de pano", ["brinquedo"]),
        ("boneca de pano, vestido azul", ["brinquedo"]),
        ("boneca de pano\nhalo\nsenhor dos aneis\n", ANSWERS),
        ("texto\nboneca de pano\nhalo\nsenhor dos aneis\n", ANSWERS),
        ("nome,descricao\nboneca,de pano\nhalo,\n,senhor dos aneis\n", ANSWERS),
    ],
)
def test_csv_with_and_without_a_header(url: str, body: str, answers: list[str]) -> None:
    assert ask(url, body.encode(), "text/csv") == answers


def test_parquet(url: str) -> None:
    body = io.BytesIO()
    pd.DataFrame({"texto": TEXTS}).to_parquet(body)
    assert ask(url, body.getvalue(), "application/vnd.apache.parquet") == ANSWERS


def test_one_answer_for_each_missing_value(url: str) -> None:
    assert len(ask(url, {"inputs": [None, "halo", None]})) == 3
    split = {"columns": ["texto"], "data": [[None], ["halo"]]}
    assert len(ask(url, {"dataframe_split": split})) == 2
    assert ask(url, {"inputs": []}) == []


def test_probabilities(url: str) -> None:
    first, *_ = ask(url, {"inputs": TEXTS, "params": {"probabilities": True}})
    assert first["categoria"] == "brinquedo"
    assert set(first["probabilidades"]) == {"brinquedo", "game", "livro"}


def test_what_is_no_product_is_a_400_that_says_what_to_give(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(url, {"dataframe_records": [{"a": 1, "b": 2}]})
    assert refusal.value.code == 400
    told = json.load(refusal.value)
    assert "a table with a column texto" in told["message"]
    assert "stack_trace" not in told
