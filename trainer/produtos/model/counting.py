"""Naive Bayes learnt in blocks: counts of words add up, so no text is needed twice."""

from collections import Counter
from collections.abc import Iterable

from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline

MOST_TERMS = 100_000
"""A model knows so many terms at most. Which these are is certain where a table has no more."""


class TermCounts:
    """How often each term comes up in the products of each category.

    Where there are more than twice `most`, or a little later, the rarest are forgotten: one that
    comes up again starts from nothing.

    Args:
        pipeline: an untrained one of `CountVectorizer` and `MultinomialNB`.
        most: how many terms the model may know.

    Attributes:
        forgotten: how many terms were.
    """

    def __init__(self, pipeline: Pipeline, most: int = MOST_TERMS) -> None:
        self._pipeline = pipeline
        self._analyze = pipeline[0].build_analyzer()
        self._most = most
        self._products: Counter[str] = Counter()
        self._terms: dict[str, Counter[str]] = {}
        self._look_at = 2 * most
        self.forgotten = 0

    @property
    def learnable(self) -> list[str]:
        """The categories of which there is a term."""
        return [category for category, terms in self._terms.items() if terms]

    def add(self, texts: Iterable[str], categories: Iterable[str]) -> None:
        """Count the terms of some products."""
        for text, category in zip(texts, categories, strict=True):
            self._products[category] += 1
            self._terms.setdefault(category, Counter()).update(self._analyze(text))
        # Each term of several categories is one of each: there are no more than this.
        if sum(map(len, self._terms.values())) > self._look_at:
            if len(self._totals()) > 2 * self._most:
                self._forget()
            self._look_at = sum(map(len, self._terms.values())) + self._most

    def _totals(self) -> Counter[str]:
        totals: Counter[str] = Counter()
        for terms in self._terms.values():
            totals.update(terms)
        return totals

    def _forget(self) -> None:
        totals = self._totals()
        by_count = sorted(totals, key=lambda term: (-totals[term], term))
        kept = set(by_count[: self._most])
        self.forgotten += len(totals) - len(kept)
        for category, terms in self._terms.items():
            self._terms[category] = Counter({t: count for t, count in terms.items() if t in kept})

    def fit(self) -> Pipeline:
        """The pipeline, trained as if it had seen all products at once."""
        self._forget()
        vectorizer, classifier = (step for _, step in self._pipeline.steps)
        vocabulary = {term: index for index, term in enumerate(sorted(self._totals()))}
        vectorizer.vocabulary_ = vocabulary
        vectorizer.fixed_vocabulary_ = False
        categories = sorted(self._products)
        found = [
            (row, vocabulary[term], count)
            for row, category in enumerate(categories)
            for term, count in self._terms[category].items()
        ]
        rows, columns, counts = zip(*found, strict=True)
        # For each category one product with all the terms, and an empty one that stands for the
        # others.
        shape = (2 * len(categories), len(vocabulary))
        others = [self._products[category] - 1 for category in categories]
        classifier.fit(
            csr_matrix((counts, (rows, columns)), shape=shape),
            categories * 2,
            sample_weight=[1] * len(categories) + others,
        )
        return self._pipeline
