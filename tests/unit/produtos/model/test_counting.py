"""A model that was learnt in blocks is the one that was learnt at once."""

import numpy as np
import pytest

from produtos.data import dataset
from produtos.model.counting import TermCounts
from produtos.model.pipeline import build

PRODUCTS = dataset.load().products
TEXTS = [product.text(include_name=True) for product in PRODUCTS]
CATEGORIES = [product.category for product in PRODUCTS]


def counted(size: int, most: int, *, strip_accents: bool = True) -> TermCounts:
    counts = TermCounts(build("naive_bayes", strip_accents=strip_accents), most)
    for start in range(0, len(TEXTS), size):
        block = slice(start, start + size)
        counts.add(TEXTS[block], CATEGORIES[block])
    return counts


@pytest.mark.parametrize("strip_accents", [True, False])
def test_it_is_the_same_to_the_last_digit(strip_accents: bool) -> None:
    at_once = build("naive_bayes", strip_accents=strip_accents).fit(TEXTS, CATEGORIES)
    counts = counted(700, 1_000_000, strip_accents=strip_accents)
    in_blocks = counts.fit()
    assert in_blocks[0].vocabulary_ == at_once[0].vocabulary_
    for name in ("classes_", "class_count_", "feature_count_", "class_log_prior_"):
        assert np.array_equal(getattr(in_blocks[1], name), getattr(at_once[1], name)), name
    assert np.array_equal(in_blocks[1].feature_log_prob_, at_once[1].feature_log_prob_)
    assert np.array_equal(in_blocks.predict_proba(TEXTS), at_once.predict_proba(TEXTS))
    assert counts.forgotten == 0


def test_a_product_without_a_word_counts_for_how_often_its_category_is() -> None:
    texts, categories = ["halo", "de a", "bola"], ["game", "game", "brinquedo"]
    counts = TermCounts(build("naive_bayes", strip_accents=True))
    counts.add(texts, categories)
    at_once = build("naive_bayes", strip_accents=True).fit(texts, categories)
    assert np.array_equal(counts.fit().predict_proba(["", "x"]), at_once.predict_proba(["", "x"]))
    assert sorted(counts.learnable) == ["brinquedo", "game"]


def test_of_too_many_terms_the_rarest_are_forgotten() -> None:
    counts = counted(100, 500)
    # Some are forgotten on the way, before the last ones are.
    assert len(counts._columns) <= 2 * 500
    pipeline = counts.fit()
    assert len(pipeline[0].vocabulary_) == 500
    assert counts.forgotten > 0
    at_once = build("naive_bayes", strip_accents=True).set_params(vectorizer__max_features=500)
    at_once.fit(TEXTS, CATEGORIES)
    # Which of those that are about as rare as others are kept is chance.
    common = pipeline[0].vocabulary_.keys() & at_once[0].vocabulary_.keys()
    assert len(common) > 300
    right = (pipeline.predict(TEXTS) == np.array(CATEGORIES)).mean()
    assert right == pytest.approx((at_once.predict(TEXTS) == np.array(CATEGORIES)).mean(), abs=0.02)
