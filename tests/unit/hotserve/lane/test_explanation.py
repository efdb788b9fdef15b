"""Which words decided: the weights that are told are those of scikit-learn's own sum."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import LinearSVC

from hotserve.lane.extract import vectors_and_classifier
from tests.unit.hotserve.lane.lane_corpus import TEXTS, WORDS, fit_and_compile, lane_of

SAMPLES = [*TEXTS, "", "nuncavista", " ".join(WORDS), "boneca boneca nuncavista Boneca"]
WORDS_ONLY = CountVectorizer(token_pattern=r"\w+", stop_words=["de"])


def scores_of(pipeline: Any, text: str) -> list[float]:
    """scikit-learn's own, one for each class; of two classes the second one's against zero."""
    vectors, classifier = vectors_and_classifier(pipeline, [text])
    if hasattr(classifier, "predict_joint_log_proba"):
        found = classifier.predict_joint_log_proba(vectors)
    else:
        found = classifier.decision_function(vectors)
    scores = np.ravel(found).tolist()
    return [0.0, *scores] if len(scores) == 1 else scores


@pytest.mark.parametrize("kind", ["str", "two"])
@pytest.mark.parametrize(
    "steps",
    [
        [WORDS_ONLY, MultinomialNB()],
        [CountVectorizer(ngram_range=(1, 2), binary=True), ComplementNB()],
        [TfidfVectorizer(sublinear_tf=True), LogisticRegression()],
        [TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), LinearSVC()],
        [
            FeatureUnion(
                [("words", TfidfVectorizer()), ("counts", CountVectorizer())],
                transformer_weights={"words": 2.0},
            ),
            LogisticRegression(),
        ],
    ],
    ids=str,
)
def test_start_and_weights_are_the_margin_of_the_first_two(
    steps: list[BaseEstimator], kind: str
) -> None:
    pipeline, lane = fit_and_compile(*steps, kind=kind)
    for text in SAMPLES:
        scores = scores_of(pipeline, text)
        told = lane.explain(text)
        assert lane.classes[told.index] == lane.predict([text])[0] == pipeline.predict([text])[0]
        assert told.runner_up is not None
        assert scores[told.runner_up] == max(np.delete(scores, told.index))
        margin = scores[told.index] - scores[told.runner_up]
        assert told.margin == pytest.approx(margin, abs=1e-9)
        weights = [each.weight or 0.0 for each in told.contributions]
        assert math.fsum([told.start, *weights]) == pytest.approx(margin, abs=1e-9)


def test_terms_stand_in_the_order_of_the_text_with_those_that_are_not_known() -> None:
    _, lane = fit_and_compile(WORDS_ONLY, MultinomialNB())
    told = lane.explain("Halo de nuncavista, BONECA halo")
    assert [(each.term, each.count) for each in told.contributions] == [
        ("halo", 2),
        ("nuncavista", 1),
        ("boneca", 1),
    ]
    assert [each.weight is None for each in told.contributions] == [False, True, False]


def test_a_word_speaks_for_the_class_that_it_was_seen_in() -> None:
    _, lane = fit_and_compile(WORDS_ONLY, MultinomialNB())
    told = lane.explain("boneca boneca xbox")
    names = (lane.classes[told.index], lane.classes[told.runner_up or 0])
    assert names == ("brinquedo", "game")
    boneca, xbox = (each.weight or 0.0 for each in told.contributions)
    assert boneca > 0 > xbox
    only, same = (lane.explain(text).contributions[0] for text in ("boneca", "boneca boneca"))
    assert only.weight is not None
    # Against another runner-up it would be another figure; here it is `game` or not at all.
    assert same.count == 2
    assert same.weight == pytest.approx(2 * only.weight)


def test_one_class_has_no_runner_up() -> None:
    lane = lane_of(make_pipeline(CountVectorizer(), MultinomialNB()).fit(TEXTS, ["a"] * len(TEXTS)))
    told = lane.explain("boneca")
    assert (told.index, told.runner_up, told.margin, told.start) == (0, None, 0.0, 0.0)
    assert told.contributions[0].weight == 0.0
