"""A pipeline as plain arrays, on its way from scikit-learn to the compiled file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hotserve.lane.analyzer import Settings
from hotserve.lane.model import Tfidf


@dataclass
class LeafArrays:
    """A vectorizer: its settings and its terms in the order of its columns."""

    settings: Settings
    terms: list[str]
    weights: list[float] = field(default_factory=list)


@dataclass
class GroupArrays:
    """Vectorizers that are weighted as one vector."""

    leaves: list[LeafArrays]
    tfidf: Tfidf | None = None
    weights: list[float] = field(default_factory=list)

    def weigh(self, weight: float) -> None:
        """Multiply all values by a number, after all that was done to them before."""
        if self.tfidf is None:
            for leaf in self.leaves:
                leaf.weights.append(weight)
        else:
            self.weights.append(weight)


@dataclass
class ModelArrays:
    """A pipeline.

    Attributes:
        coefficients: shape (terms, columns), C order, as scikit-learn multiplies by it.
        intercept: shape (columns,).
        single: whether scikit-learn calculates in single precision.
        description: the pipeline's steps, for people.
    """

    classes: list[str | int | bool]
    groups: list[GroupArrays]
    coefficients: np.ndarray[Any, np.dtype[np.float64]]
    intercept: np.ndarray[Any, np.dtype[np.float64]]
    single: bool
    description: str

    def rows(self, group: GroupArrays, start: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What `model.Group.rows` holds, for a group whose first term has the number `start`.

        Returns:
            Shape (terms, columns), with one more column in front where the group has a norm.
        """
        before = [np.full(len(leaf.terms), float(math.prod(leaf.weights))) for leaf in group.leaves]
        values = np.concatenate(before)
        if group.tfidf is not None and group.tfidf.idf is not None:
            values *= np.asarray(group.tfidf.idf)
        coefficients = self.coefficients[start : start + len(values)]
        rows = (values * math.prod(group.weights))[:, np.newaxis] * coefficients
        if group.tfidf is None or group.tfidf.norm is None:
            return rows
        lengths = values * values if group.tfidf.norm == "l2" else np.abs(values)
        return np.column_stack([lengths, rows])

    def largest(self) -> float:
        """No product of a value and a coefficient is larger, a count of one given."""
        largest = 0.0
        start = 0
        for group in self.groups:
            rows = self.rows(group, start)
            end = start + len(rows)
            if group.tfidf is not None and group.tfidf.norm is not None:
                # A norm makes values at most 1, and can make small ones as large.
                coefficients = self.coefficients[start:end] * math.prod(group.weights)
                rows = np.concatenate([rows[:, 1:], coefficients])
            largest = max(largest, float(np.abs(rows).max()))
            start = end
        return largest
