"""Probes: what a model does to texts before scikit-learn shows in them."""

import json
import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.pyfunc.scoring_server import predictions_to_json
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from hotserve.lane import Lane, LaneError
from hotserve.lane.probes import compare, probe_texts
from tests.unit.hotserve.lane.lane_corpus import TEXTS, fit_and_compile


@pytest.fixture(scope="module")
def words() -> tuple[Any, Lane]:
    vectorizer = CountVectorizer(strip_accents="unicode", token_pattern=r"\w+", stop_words=["de"])
    return fit_and_compile(vectorizer, MultinomialNB())


@pytest.fixture(scope="module")
def letters() -> tuple[Any, Lane]:
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False)
    return fit_and_compile(vectorizer, LogisticRegression(C=10))


def test_the_probes_hold_what_a_request_can(words: tuple[Any, Lane]) -> None:
    lane = words[1]
    probes = probe_texts(lane, ["um exemplo"])
    assert len(probes) >= 500
    assert probes[0] == "um exemplo"
    assert probes == probe_texts(lane, ["um exemplo"])
    assert json.loads(json.dumps(probes).encode()) == probes
    assert "" in probes
    assert "\x00" in "".join(probes)
    assert max(map(len, probes)) >= 10_000
    letters = set("".join(probes))
    assert {"İ", "ß", "ſ", "Σ", "ς", "😀", "\u0301", "\u200d", "ש", "日", "7"} <= letters
    assert any(text != unicodedata.normalize("NFC", text) for text in probes)
    assert any(text != unicodedata.normalize("NFD", text) for text in probes)
    # Every answer comes up, so that a model with swapped labels is caught.
    assert set(lane.predict(probes)) == set(lane.classes)


def answers(pipeline: Any, change: Callable[[str], str]) -> list[Any]:
    """What a model answers that changes texts before it predicts."""
    labels: list[Any] = pipeline.predict([change(p) for p in PROBES]).tolist()
    return labels


PROBES: list[str] = []


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda text: text, False),
        (str.lower, False),
        (str.strip, False),
        (lambda text: text[:20], True),
        (lambda text: text[:200], True),
        (lambda text: text[-200:], True),
        (lambda text: " ".join(text.split(" ")[:10]), True),
        (lambda text: " ".join(dict.fromkeys(text.split())), True),
        (lambda text: re.sub(r"[^\w\s]", "", text), True),
        (lambda text: text.replace("\u00a0", ""), True),
        (lambda text: text.replace("a", ""), True),
        (lambda text: text.split("\n")[0], True),
        (lambda text: text or "boneca", True),
        (lambda text: text.encode("ascii", "ignore").decode(), True),
        (lambda text: unicodedata.normalize("NFC", text), False),
    ],
)
def test_a_model_that_rewrites_texts_is_caught_where_it_matters(
    words: tuple[Any, Lane], change: Callable[[str], str], differs: bool
) -> None:
    pipeline, lane = words
    PROBES[:] = probe_texts(lane)
    difference = compare(lane, PROBES, answers(pipeline, change))
    assert (difference is not None) is differs
    if difference is not None:
        assert "\n" not in str(difference)
        assert difference.text in PROBES


@pytest.mark.parametrize("change", [str.lower, str.strip, lambda text: text.rstrip("\x00")])
def test_a_model_on_letters_is_looked_at_more_closely(
    letters: tuple[Any, Lane], change: Callable[[str], str]
) -> None:
    pipeline, lane = letters
    PROBES[:] = probe_texts(lane)
    assert compare(lane, PROBES, answers(pipeline, lambda text: text)) is None
    if change is str.lower:
        assert compare(lane, PROBES, answers(pipeline, change)) is not None


def test_answers_of_another_kind(words: tuple[Any, Lane]) -> None:
    pipeline, lane = words
    probes = probe_texts(lane)
    right = pipeline.predict(probes).tolist()
    assert compare(lane, probes, right) is None
    assert "with 1 answers" in str(compare(lane, probes, right[:1]))
    assert "no list" in str(compare(lane, probes, {"a": 1}))  # type: ignore[arg-type]
    for wrong in (
        pipeline.predict_proba(probes).tolist(),
        [[label] for label in right],
        [{"0": label} for label in right],
        [label.encode() for label in right],
        [None] * len(right),
        [*right[:-1], "outra"],
        ["outra", *right[1:]],
        [label.upper() for label in right],
        [f"{label} " for label in right],
        right[1:] + right[:1],
        sorted(right),
        [*right, right[-1]],
    ):
        assert compare(lane, probes, wrong) is not None


def test_true_and_one_are_different_answers() -> None:
    pipeline, lane = fit_and_compile(CountVectorizer(), LinearSVC(), kind="bool")
    probes = probe_texts(lane)
    right = pipeline.predict(probes).tolist()
    assert compare(lane, probes, right) is None
    assert compare(lane, probes, [int(label) for label in right]) is not None


def test_probabilities_are_compared_too(words: tuple[Any, Lane]) -> None:
    pipeline, lane = words
    probes = probe_texts(lane)
    right = pipeline.predict(probes).tolist()
    theirs = pipeline.predict_proba(probes)
    assert compare(lane, probes, right, theirs.tolist()) is None
    for wrong in (theirs[:, ::-1], theirs + 1e-6, theirs[:, :2], theirs * math.nan):
        difference = compare(lane, probes, right, wrong.tolist())
        assert "probabilities" in str(difference)


@pytest.mark.parametrize("kind", ["str", "two", "int", "bool"])
def test_the_body_is_mlflows_byte_for_byte(kind: str) -> None:
    from io import StringIO

    pipeline, lane = fit_and_compile(CountVectorizer(), MultinomialNB(), kind=kind)
    for texts in (TEXTS[:1], TEXTS, []):
        theirs = StringIO()
        predictions = pipeline.predict(texts) if texts else np.array([])
        predictions_to_json(predictions, theirs)  # type: ignore[no-untyped-call]
        assert lane.predict_json(texts) == theirs.getvalue().encode()


def test_labels_beyond_ascii_are_escaped_as_mlflow_does() -> None:
    pipeline, lane = fit_and_compile(CountVectorizer(), MultinomialNB(), kind="two")
    assert lane.predict_json(["boneca"]) == b'{"predictions": ["n\\u00e3o"]}'
    assert pipeline.predict(["boneca"]).tolist() == ["não"]


def test_a_model_without_probabilities_says_so() -> None:
    _, lane = fit_and_compile(CountVectorizer(), LinearSVC())
    assert not lane.has_probabilities
    with pytest.raises(LaneError, match="no probabilities"):
        lane.predict_proba(["boneca"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_a_body_never_fails_on_what_json_can_carry(
    words: tuple[Any, Lane], texts: list[str]
) -> None:
    lane = words[1]
    decoded = json.loads(json.dumps(texts).encode())
    assert json.loads(lane.predict_json(decoded)) == {"predictions": lane.predict(texts)}
