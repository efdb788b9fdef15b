"""The model of a compiled file, as the scorers need it.

A linear text classifier is: *groups* of terms, each group weighted by tf-idf (or not) as one
vector; a group's *leaves* are vectorizers whose vectors stand side by side; then one weight for
each term and each class, and an intercept for each class.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hotserve.lane.analyzer import Analyzer, Settings
from hotserve.lane.container import Container
from hotserve.lane.errors import LaneError
from hotserve.lane.ngram_trie import NgramTrie
from hotserve.lane.term_table import TermTable

FORMAT = 1
"""Raised whenever a file of before would be read wrongly."""


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
    weights: tuple[float, ...]

    @property
    def binary(self) -> bool:
        """Whether a term that is there twice counts once."""
        return self.analyzer.settings.binary


@dataclass(frozen=True)
class Tfidf:
    """The settings of a TfidfTransformer.

    Attributes:
        idf: one number for each term of the group, or None.
        norm: `l1`, `l2` or None.
    """

    sublinear: bool
    idf: memoryview[float] | None
    norm: str | None


@dataclass(frozen=True)
class Group:
    """Leaves that are weighted as one vector.

    Attributes:
        offset: the number of its first term among all terms of the model.
        weights: what its values are multiplied by after tf-idf, one after another.
        rows: bytes of doubles, a row for each term: where the group has a norm, the value's
            square (l2) or size (l1) before that; then the value before the norm times each
            coefficient. The value is that of a count of one.
    """

    leaves: tuple[Leaf, ...]
    offset: int
    rows: memoryview[int]
    tfidf: Tfidf | None
    weights: tuple[float, ...]

    @property
    def norm(self) -> str | None:
        """`l1`, `l2` or None."""
        return self.tfidf.norm if self.tfidf else None

    @property
    def additive(self) -> bool:
        """Whether a text's vector is the sum of its parts' vectors."""
        counts_add_up = self.tfidf is None or not (self.tfidf.sublinear or self.tfidf.norm)
        return counts_add_up and not any(leaf.binary for leaf in self.leaves)


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

    classes: tuple[str | int | bool, ...]
    groups: tuple[Group, ...]
    columns: int
    coefficients: memoryview[float]
    intercept: tuple[float, ...]
    probability: str | None
    exact: bool
    single: bool
    log_counts: memoryview[float]
    largest: float


def read(container: Container) -> Model:
    """The model in an open file.

    Raises:
        LaneError: the file holds none, or one for another version of Unicode than this Python's.
    """
    header = container.header
    if header.get("format") != FORMAT:
        raise LaneError(f"the compiled model is of format {header.get('format')}, not {FORMAT}")
    if header.get("unicode") != unicodedata.unidata_version:
        raise LaneError(
            f"the model runs on a Python with Unicode {header.get('unicode')}, hotserve on one "
            f"with {unicodedata.unidata_version}: they don't agree on what a letter is"
        )
    try:
        model = Model(
            classes=tuple(header["classes"]),
            groups=tuple(_group(container, group) for group in header["groups"]),
            columns=int(header["columns"]),
            coefficients=container.section("coefficients").cast("d"),
            intercept=tuple(map(float, header["intercept"])),
            probability=header["probability"],
            exact=bool(header["exact"]),
            single=bool(header["single"]),
            log_counts=container.section("log_counts").cast("d"),
            largest=float(header["largest"]),
        )
        sizes = [len(model.intercept), len(model.coefficients)]
        expected = [model.columns, 0]
        for group in model.groups:
            terms = sum(len(leaf.terms) for leaf in group.leaves)
            expected[1] += terms * model.columns
            sizes.append(len(group.rows))
            expected.append(8 * terms * (model.columns + (group.norm is not None)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LaneError(f"the compiled model is not complete: {error}") from None
    if sizes != expected or not model.classes:
        raise LaneError("the compiled model is not complete: its arrays differ in length")
    return model


def _group(container: Container, values: Mapping[str, Any]) -> Group:
    tfidf = None
    if (settings := values["tfidf"]) is not None:
        idf = settings["idf"]
        tfidf = Tfidf(
            sublinear=bool(settings["sublinear"]),
            idf=None if idf is None else container.section(idf).cast("d"),
            norm=settings["norm"],
        )
    return Group(
        leaves=tuple(
            Leaf(
                analyzer=Analyzer(Settings.from_json(leaf["settings"])),
                terms=TermTable(container, leaf["terms"]),
                ngrams=NgramTrie(container, leaf["ngrams"]) if leaf["ngrams"] else None,
                offset=int(leaf["offset"]),
                weights=tuple(map(float, leaf["weights"])),
            )
            for leaf in values["leaves"]
        ),
        offset=int(values["offset"]),
        rows=container.section(values["rows"]),
        tfidf=tfidf,
        weights=tuple(map(float, values["weights"])),
    )
