"""The model of a compiled file, as the scorers need it.

A linear text classifier is: *groups* of terms, each group weighted by tf-idf (or not) as one
vector; a group's *leaves* are vectorizers whose vectors stand side by side; then one weight for
each term and each class, and an intercept for each class.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hotserve.lane.analyzer import Analyzer, Settings
from hotserve.lane.errors import LaneError
from hotserve.lane.ngram_trie import NgramTrie
from hotserve.lane.term_table import TermTable


@dataclass(frozen=True)
class Leaf:
    """One vectorizer.

    Attributes:
        ngrams: the same terms as runs of tokens, where they are.
        offset: the number of its first term among all terms of the model.
        weights: what its values are multiplied by before the group's tf-idf, one after another.
    """

    analyzer: Analyzer
    terms: TermTable
    ngrams: NgramTrie | None
    offset: int
    weights: Sequence[float]

    @property
    def binary(self) -> bool:
        """Whether a term that is there twice counts once."""
        return self.analyzer.settings.binary


@dataclass(frozen=True)
class Tfidf:
    """The settings of a TfidfTransformer; by default those of none, where counts stay counts.

    Attributes:
        idf: one number for each term of the group, or None.
        norm: `l1`, `l2` or None.
    """

    sublinear: bool = False
    idf: memoryview[float] | None = None
    norm: str | None = None


@dataclass(frozen=True)
class Group:
    """Leaves that are weighted as one vector.

    Attributes:
        offset: the number of its first term among all terms of the model.
        weights: what its values are multiplied by after tf-idf, one after another.
        rows: a row of doubles for each term: where the group has a norm, the value's
            square (l2) or size (l1) before that; then the value before the norm times each
            coefficient. The value is that of a count of one.
    """

    leaves: Sequence[Leaf]
    offset: int
    rows: memoryview[float]
    tfidf: Tfidf
    weights: Sequence[float]

    @property
    def additive(self) -> bool:
        """Whether a text's vector is the sum of its parts' vectors."""
        changed = self.tfidf.sublinear or self.tfidf.norm is not None
        return not changed and not any(leaf.binary for leaf in self.leaves)


@dataclass(frozen=True)
class Model:
    """All that answers depend on.

    Attributes:
        classes: labels in scikit-learn's order.
        coefficients: row by row, a row of `columns` numbers for each term.
        intercept: `columns` numbers. One column with two classes is a binary decision.
        probability: how scores become probabilities, one of `probabilities.KINDS`, or None.
        exact: whether adding up in scikit-learn's order gives its very bits.
        single: whether scikit-learn calculates in single precision.
        log_counts: 1 + log(n) as the model's own numpy gives it, for n = 1, 2, …
        largest: no product of a value and a coefficient is larger, a count of one given.
    """

    classes: Sequence[str | int | bool]
    groups: Sequence[Group]
    columns: int
    coefficients: memoryview[float]
    intercept: Sequence[float]
    probability: str | None
    exact: bool
    single: bool
    log_counts: memoryview[float]
    largest: float

    @property
    def leaves(self) -> list[Leaf]:
        """Those of all groups."""
        return [leaf for group in self.groups for leaf in group.leaves]

    def of_classes(self, row: Sequence[float]) -> Sequence[float]:
        """A number for each class; of two classes with one column the first one's is zero."""
        return [0.0, *row] if len(row) < len(self.classes) else row


def read(header: Mapping[str, Any]) -> Model:
    """The model in a compiled file's header.

    Raises:
        LaneError: the file holds none, or one for another version of Unicode than this Python's.
    """
    if header.get("unicode") != unicodedata.unidata_version:
        raise LaneError(
            f"the model runs on a Python with Unicode {header.get('unicode')}, hotserve on one "
            f"with {unicodedata.unidata_version}: they don't agree on what a letter is"
        )
    try:
        fields = header["model"]
        model = Model(**{**fields, "groups": [_group(**group) for group in fields["groups"]]})
        sizes = [len(model.intercept), len(model.coefficients)]
        expected = [model.columns, 0]
        for group in model.groups:
            terms = sum(len(leaf.terms) for leaf in group.leaves)
            expected[1] += terms * model.columns
            sizes.append(len(group.rows))
            expected.append(terms * (model.columns + (group.tfidf.norm is not None)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LaneError(f"the compiled model is not complete: {error}") from None
    if sizes != expected or not model.classes:
        raise LaneError("the compiled model is not complete: its arrays differ in length")
    return model


def _group(leaves: Sequence[Any], tfidf: Mapping[str, Any], **fields: Any) -> Group:
    found = [
        Leaf(
            Analyzer(Settings(**leaf["settings"])),
            TermTable(leaf["terms"]),
            NgramTrie(leaf["ngrams"]) if leaf["ngrams"] else None,
            leaf["offset"],
            leaf["weights"],
        )
        for leaf in leaves
    ]
    return Group(leaves=found, tfidf=Tfidf(**tfidf), **fields)
