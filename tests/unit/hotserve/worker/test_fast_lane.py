"""A front worker answers from its lane what the model's process would be sent, or leaves it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from hotserve.inputs import json_forms
from hotserve.inputs.model_input import TEXTS, TextInput
from hotserve.ipc.messages import LaneTarget, Target
from hotserve.lane import Lane
from hotserve.lane.compile import compile_pipeline
from hotserve.worker import fast_lane
from hotserve.worker.counters import SAMPLED, Counters
from hotserve.worker.errors import RequestError
from hotserve.worker.fast_lane import FastLane
from hotserve.worker.upstream.translation import translate
from tests.support import tables
from tests.support.tables import TABLES, Table

CSV, JSON = b"text/csv", b"application/json"
COLUMNS = ("descricao", "nome")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lane") / "model.lane"
    # Each text is a class of its own, and so are its parts in another order.
    texts = [*tables.TEXTS, *tables.NAMES, "pano de boneca"]
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+")
    compile_pipeline(make_pipeline(vectorizer, MultinomialNB()).fit(texts, texts), path)
    return path


def opened(
    path: Path,
    columns: tuple[str, ...] = (),
    counters: Counters | None = None,
    **changes: Any,
) -> FastLane:
    values: dict[str, Any] = {"csv": True, "forms": json_forms.ALL, **changes}
    checksum = Lane(path).checksum
    target = LaneTarget(
        path=str(path), checksum=checksum, version="1", mlflow="3", columns=columns, **values
    )
    return FastLane(target, counters or Counters())


def answers(lane: FastLane, content_type: bytes, body: bytes) -> Iterator[bytes | None]:
    """Of every way through the lane that a request may take."""
    if (answer := lane.answer_now(content_type, body)) is not None:
        yield answer
    yield asyncio.run(lane.answer(content_type, body))


def sent_texts(wanted: TextInput, content_type: bytes, body: bytes) -> list[str]:
    """The texts that the model's process is sent."""
    sent = translate(Target(1, 1, "1", "3", wanted), content_type, body, "auto")
    request = json.loads(sent.body)
    if "inputs" in request:
        return list(request["inputs"])
    split = request["dataframe_split"]
    order = [split["columns"].index(name) for name in ("nome", "descricao")]
    return [" ".join(filter(None, (row[at] for at in order))) for row in split["data"]]


@pytest.mark.parametrize("wanted", [TEXTS, TextInput("columns", COLUMNS)], ids=lambda w: w.kind)
@pytest.mark.parametrize("table", TABLES, ids=str)
def test_the_lane_and_the_process_read_a_table_alike(
    table: Table, wanted: TextInput, compiled: Path
) -> None:
    lane = opened(compiled, wanted.columns)
    if table.complaint:
        assert list(answers(lane, CSV, table.body)) == [None]
        with pytest.raises(RequestError):
            sent_texts(wanted, CSV, table.body)
        return
    texts = sent_texts(wanted, CSV, table.body)
    # A model's own columns come before `texto`.
    assert tuple(texts) == table.texts or (wanted.columns and "texto" in table.columns)
    expected = Lane(compiled).predict_json(texts)
    assert set(answers(lane, CSV, table.body)) == {expected}


@pytest.mark.parametrize("columns", [("nome", "descricao"), ("descricao", "nome")])
@pytest.mark.parametrize("kind", ["dataframe_split", "dataframe_records"])
def test_a_table_in_json_is_read_alike(kind: str, columns: tuple[str, str], compiled: Path) -> None:
    rows = [dict(zip(tables.COLUMNS, product, strict=True)) for product in tables.PRODUCTS]
    data: Any = [{name: row[name] for name in columns} for row in rows]
    if kind == "dataframe_split":
        data = {"columns": columns, "data": [list(row.values()) for row in data]}
    body = json.dumps({kind: data}).encode()
    assert tuple(sent_texts(TEXTS, JSON, body)) == tables.TEXTS
    expected = Lane(compiled).predict_json(tables.TEXTS)
    assert set(answers(opened(compiled), JSON, body)) == {expected}
    forms = [form for form in json_forms.ALL if not form.startswith(kind)]
    assert set(answers(opened(compiled, forms=tuple(forms)), JSON, body)) == {None}


@pytest.mark.parametrize(
    "request_",
    [
        {"inputs": []},
        {"inputs": ["a", 7]},
        {"inputs": ["a", None]},
        {"inputs": "a"},
        {"inputs": ["a"], "params": {"probabilities": 1}},
        {"inputs": ["a"], "instances": ["a"]},
        {"dataframe_records": [{"nome": "a"}, {"texto": "b"}]},
        {"dataframe_records": [{"nome": "a", "id": "b"}]},
        {"dataframe_records": [{"nome": "a"}, "b"]},
        {"dataframe_split": {"columns": ["nome"], "data": [["a"], ["b", "c"]]}},
        {"dataframe_split": {"columns": ["nome", "nome"], "data": [["a", "b"]]}},
        {"dataframe_split": {"columns": ["nome"], "data": [["a"]], "colour": 1}},
        {"dataframe_split": {"columns": ["nome"], "data": [["a"]], "index": [5]}},
        {"dataframe_split": {"columns": ["nome"], "data": []}},
        {"nothing": [{"nome": "a"}]},
        ["a"],
    ],
)
def test_what_was_not_compared_is_left_to_the_process(request_: object, compiled: Path) -> None:
    assert set(answers(opened(compiled), JSON, json.dumps(request_).encode())) == {None}


def test_a_closed_lane_for_csv_answers_none(compiled: Path) -> None:
    assert set(answers(opened(compiled, csv=False), CSV, b"batom matte")) == {None}
    assert opened(compiled).answer_now(CSV, b"batom matte") is not None
    assert opened(compiled, COLUMNS).answer_now(CSV, b"batom matte") is None


@pytest.mark.parametrize("lines", [1, 3])
def test_a_text_that_is_too_long_is_left_to_the_process(
    lines: int, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_lane, "SLICE", 2)
    lane = opened(compiled)
    for length, given in ((fast_lane.LONGEST_TEXT, True), (fast_lane.LONGEST_TEXT + 1, False)):
        texts = ["halo"] * (lines - 1) + ["a" * length]
        for content_type, body in (
            (CSV, "\n".join(texts).encode()),
            (JSON, json.dumps({"inputs": texts}).encode()),
        ):
            answer = asyncio.run(lane.answer(content_type, body))
            assert (answer is not None) is given


def test_many_texts_are_answered_in_their_order(
    compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_lane, "SLICE", 3)
    texts = [*tables.TEXTS, *tables.NAMES] * 3
    expected = Lane(compiled).predict_json(texts)
    for content_type, body in (
        (CSV, "\n".join(texts).encode()),
        (JSON, json.dumps({"inputs": texts}).encode()),
    ):
        assert asyncio.run(opened(compiled).answer(content_type, body)) == expected


def test_a_text_is_answered_with_the_probability_of_each_category(compiled: Path) -> None:
    counters, forms = Counters(), ("inputs", json_forms.with_probabilities("inputs"))
    lane = opened(compiled, counters=counters, forms=forms)
    request = {"inputs": [*tables.TEXTS], "params": {"probabilities": True}}
    answer = asyncio.run(lane.answer(JSON, json.dumps(request).encode()))
    assert answer is not None
    rows = json.loads(answer)["predictions"]
    plain = json.loads(Lane(compiled).predict_json(tables.TEXTS))["predictions"]
    assert [row["categoria"] for row in rows] == plain
    for row in rows:
        assert len(row["probabilidades"]) == len(Lane(compiled).classes)
        assert max(row["probabilidades"], key=row["probabilidades"].get) == row["categoria"]
    assert sum(count for *_, count in counters.take()["products"]) == len(rows)


def test_a_few_texts_of_each_second_are_sampled(compiled: Path) -> None:
    counters = Counters()
    forms = ("inputs", json_forms.with_probabilities("inputs"))
    lane = opened(compiled, counters=counters, forms=forms)
    text = tables.TEXTS[0].encode()

    def sampled() -> int:
        return sum(sure for _, _, _, sure, _ in counters.take().get("samples", ()))

    lane.answer_now(CSV, text)
    assert sampled() == 1
    body = json.dumps({"inputs": [tables.TEXTS[0]] * 3}).encode()
    lane.answer_now(JSON, body)
    assert sampled() == 3
    asyncio.run(lane.answer(JSON, body[:-1] + b', "params": {"probabilities": true}}'))
    assert sampled() == 3
    # No more than that, however many come, until the next report.
    asyncio.run(lane.answer(CSV, b"\n".join([text] * 20_000)))
    assert 0 < sampled() <= SAMPLED / len(tables.TEXTS[0]) + 1
    for _ in range(SAMPLED):
        lane.answer_now(CSV, text)
    assert 0 < sampled() <= SAMPLED / len(tables.TEXTS[0]) + 1
