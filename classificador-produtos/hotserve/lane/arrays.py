"""A pipeline's vectorizers as plain arrays, on their way from scikit-learn to the compiled file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hotserve.lane import ngram_trie, term_table
from hotserve.lane.analyzer import Analyzer, Settings
from hotserve.lane.model import Tfidf

Numbers = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class LeafArrays:
    """A vectorizer: its settings and its terms in the order of its columns."""

    settings: Settings
    terms: list[str]
    weights: list[float] = field(default_factory=list)

    def laid_out(self, offset: int) -> dict[str, Any]:
        """What the file holds of it, its first term having the number `offset`."""
        # A vocabulary that was given, not learnt, can hold anything.
        ngrams = Analyzer(self.settings).ngrams_of_parts and all(
            all(term.split(" ")) for term in self.terms
        )
        return {
            "settings": vars(self.settings),
            "terms": term_table.build(self.terms),
            "ngrams": ngram_trie.build(self.terms) if ngrams else None,
            "offset": offset,
            "weights": self.weights,
        }


@dataclass
class GroupArrays:
    """Vectorizers that are weighted as one vector."""

    leaves: list[LeafArrays]
    tfidf: Tfidf | None = None
    weights: list[float] = field(default_factory=list)

    @property
    def terms(self) -> int:
        """How many there are."""
        return sum(len(leaf.terms) for leaf in self.leaves)

    def weigh(self, weight: float) -> None:
        """Multiply all values by a number, after all that was done to them before."""
        if self.tfidf is None:
            for leaf in self.leaves:
                leaf.weights.append(weight)
        else:
            self.weights.append(weight)

    def laid_out(self, offset: int, coefficients: Numbers) -> tuple[dict[str, Any], float]:
        """What the file holds of it, its first term having the number `offset`.

        Args:
            coefficients: of its terms.

        Returns:
            With it a number than which no product of a value and a coefficient is larger, a count
            of one given.
        """
        before = [np.full(len(leaf.terms), float(math.prod(leaf.weights))) for leaf in self.leaves]
        values = np.concatenate(before)
        tfidf = self.tfidf or Tfidf()
        if tfidf.idf is not None:
            values *= np.asarray(tfidf.idf)
        coefficients = coefficients * math.prod(self.weights)
        rows = values[:, np.newaxis] * coefficients
        largest = np.abs(rows).max()
        if tfidf.norm is not None:
            # A norm makes values at most 1, and can make small ones as large.
            largest = max(largest, np.abs(coefficients).max())
            lengths = values * values if tfidf.norm == "l2" else np.abs(values)
            rows = np.column_stack([lengths, rows])
        leaves, start = [], offset
        for leaf in self.leaves:
            leaves.append(leaf.laid_out(start))
            start += len(leaf.terms)
        group = {"leaves": leaves, "offset": offset, "rows": rows, "tfidf": vars(tfidf)}
        return {**group, "weights": self.weights}, float(largest)
