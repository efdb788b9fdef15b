"""Naive Bayes learnt in blocks: counts of words add up, so no text is needed twice."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline

MOST_TERMS = 100_000
"""A model knows so many terms at most. Which these are is certain where a table has no more."""


class TermCounts:
    """How often each term comes up in the products of each category.

    Where there are more than twice `most`, the rarest are forgotten: one that comes up again starts
    from nothing.

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
        self._columns: dict[str, int] = {}
        # Of each category a row; those behind its end are zero.
        self._counts: dict[str, NDArray[np.int64]] = {}
        self.forgotten = 0

    @property
    def learnable(self) -> list[str]:
        """The categories of which there is a term."""
        return [category for category, counts in self._counts.items() if counts.any()]

    def add(self, texts: Iterable[str], categories: Iterable[str]) -> None:
        """Count the terms of some products."""
        columns = self._columns
        found: dict[str, list[int]] = defaultdict(list)
        for text, category in zip(texts, categories, strict=True):
            self._products[category] += 1
            found[category] += [
                columns.setdefault(term, len(columns)) for term in self._analyze(text)
            ]
        for category, places in found.items():
            before = self._counts.get(category, np.zeros(0, np.int64))
            counts = np.bincount(places, minlength=len(before))
            counts[: len(before)] += before
            self._counts[category] = counts
        if len(columns) > 2 * self._most:
            self._forget()

    def _forget(self) -> None:
        """Keep the most frequent terms, in the order of their names."""
        terms = list(self._columns)
        by_name = np.array(sorted(range(len(terms)), key=terms.__getitem__), np.intp)
        totals = np.zeros(len(terms), np.int64)
        for counts in self._counts.values():
            counts.resize(len(terms), refcheck=False)
            totals += counts
        # Of those that are as rare, the first ones.
        kept = np.sort(np.argsort(-totals[by_name], kind="stable")[: self._most])
        places = by_name[kept]
        self.forgotten += len(terms) - len(places)
        self._columns = {terms[place]: column for column, place in enumerate(places.tolist())}
        self._counts = {category: counts[places] for category, counts in self._counts.items()}

    def fit(self) -> Pipeline:
        """The pipeline, trained as if it had seen all products at once."""
        self._forget()
        vectorizer, classifier = (step for _, step in self._pipeline.steps)
        vectorizer.vocabulary_ = self._columns
        vectorizer.fixed_vocabulary_ = False
        categories = sorted(self._products)
        # For each category one product with all the terms, and an empty one that stands for the
        # others.
        counts = csr_matrix(np.array([self._counts[category] for category in categories]))
        counts.resize(2 * len(categories), len(self._columns))
        others = [self._products[category] - 1 for category in categories]
        classifier.fit(counts, categories * 2, sample_weight=[1] * len(categories) + others)
        return self._pipeline
