"""The scores of a text, quickly: the same sums as `exact_scorer`'s, in whatever order is handy.

Text comes in parts between spaces, and the same parts come again and again. What a part stands
for is remembered, so that most texts need neither regular expressions nor Unicode tables: for a
model that just adds (naive Bayes on counts) a part is one row of numbers, and scoring a text is
adding rows. Memories are bounded, and emptied when full.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Generic, TypeVar

from hotserve.lane.model import Group, Leaf, Model
from hotserve.lane.ngram_trie import UNKNOWN

Row = tuple[float, ...]
Scorer = Callable[[str], list[float]]

MEMORY = 8_000_000
"""Bytes that one memory of this module may take, about."""
PART_BYTES = 130
"""What a part of a text takes as a key."""
ROW_BYTES = 250
"""What a row takes, and 32 for each column."""
LONGEST_KEY = 64
"""A longer part of a text is hardly ever seen twice."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memory(dict[Key, Value], Generic[Key, Value]):
    """A dict that finds what is missing, keeps it, and starts again when full."""

    def __init__(self, find: Callable[[Key], Value], entry_bytes: int) -> None:
        """Nothing remembered yet.

        Args:
            find: the value of a key.
            entry_bytes: what a key and its value take, about.
        """
        super().__init__()
        self._find = find
        self._limit = max(64, MEMORY // entry_bytes)

    def __missing__(self, key: Key) -> Value:
        value = self._find(key)
        if isinstance(key, str) and len(key) > LONGEST_KEY:
            return value
        if len(self) >= self._limit:
            self.clear()
        self[key] = value
        return value


def fast_scorer(model: Model) -> Scorer:
    """A function from a text to its scores, one for each column of the model."""
    leaves = model.leaves
    if (
        all(group.additive for group in model.groups)
        and all(leaf.analyzer.terms_of_parts for leaf in leaves)
        and len({leaf.analyzer.settings.strip_accents == "ascii" for leaf in leaves}) == 1
    ):
        return _adding_scorer(model)
    return _weighing_scorer(model)


def slack(model: Model) -> Callable[[int], float]:
    """How far two scores must be apart for their order to be sure, by the length of the text.

    The bound of `exact_scorer` with the most terms that a text of that length can have: lower
    case and NFKD make at most 3 and 18 characters of one (Unicode Standard Annex 15, section 12).
    """
    settings = [leaf.analyzer.settings for leaf in model.leaves]
    ngrams = sum(1 + each.max_n - each.min_n for each in settings)
    growth = 3 * max(1 if each.strip_accents is None else 18 for each in settings)
    # Padding makes up to three terms of a character and a length.
    terms = 3.0 * growth * ngrams
    largest = model.largest
    intercept = max(map(abs, model.intercept))
    rounding = 32 * (2.0**-24 if model.single else 2.0**-53)

    def bound(length: int) -> float:
        n = terms * length + 16.0
        return rounding * n * (n * largest + intercept)

    return bound


def _adding_scorer(model: Model) -> Scorer:
    leaves = [
        (leaf, Memory(_rows(model, group), ROW_BYTES + 32 * model.columns).__getitem__)
        for group in model.groups
        for leaf in group.leaves
    ]
    nothing = (0.0,) * model.columns

    def row_of_part(part: str) -> Row:
        rows = [
            row(leaf.offset + index)
            for leaf, row in leaves
            for term in leaf.analyzer.terms(part)
            if (index := leaf.terms.find(term)) is not None
        ]
        return tuple(map(sum, zip(*rows, strict=True)))[1:] if rows else nothing

    row = Memory(row_of_part, PART_BYTES).__getitem__
    intercept = model.intercept
    split = leaves[0][0].analyzer.split

    def scores(text: str) -> list[float]:
        return list(map(sum, zip(intercept, *map(row, split(text)), strict=False)))

    return scores


def _weighing_scorer(model: Model) -> Scorer:
    groups = [_group_scorer(model, group) for group in model.groups]
    intercept = model.intercept
    if len(groups) == 1:
        only = groups[0]

        def scores_of_one(text: str) -> list[float]:
            sums, scale = only(text)
            return [total * scale + b for total, b in zip(sums, intercept, strict=False)]

        return scores_of_one

    def scores(text: str) -> list[float]:
        totals = list(intercept)
        for group in groups:
            sums, scale = group(text)
            for column, total in enumerate(sums):
                totals[column] += total * scale
        return totals

    return scores


def _group_scorer(model: Model, group: Group) -> Callable[[str], tuple[Iterable[float], float]]:
    """A function from a text to a group's sums and what to multiply them by."""
    row = _rows(model, group)
    shared_row = Memory(row, ROW_BYTES + 32 * model.columns).__getitem__
    leaf_rows = [_leaf_rows(leaf, row, shared_row) for leaf in group.leaves]
    first, others = leaf_rows[0], leaf_rows[1:]
    norm, sublinear = group.tfidf.norm, group.tfidf.sublinear
    nothing = (0.0,) * model.columns
    sqrt, log = math.sqrt, math.log

    def correct(totals: list[float], terms: tuple[float, ...], rows: list[Row]) -> None:
        """Make sums over all occurrences the sums that terms found more than once give."""
        row_of = dict(zip(terms, rows, strict=True))
        for term, count in Counter(terms).items():
            if count > 1:
                shares = row_of[term][1:]
                factor = 1.0 + log(count) if sublinear else float(count)
                surplus = factor - count
                if surplus:
                    for column, share in enumerate(shares):
                        totals[column] += surplus * share
                if norm == "l2":
                    totals[0] += (factor * factor - factor) * shares[0]

    def sums(text: str) -> tuple[Iterable[float], float]:
        rows = list(first(text))
        for more in others:
            rows += more(text)
        if not rows:
            return nothing, 1.0
        terms, *columns = zip(*rows, strict=False)
        totals: list[float] = list(map(sum, columns))
        if len(set(terms)) != len(terms):
            correct(totals, terms, rows)
        if norm is None:
            return totals, 1.0
        length = totals.pop(0)
        if length <= 0.0:
            return totals, 1.0
        return totals, 1.0 / (sqrt(length) if norm == "l2" else length)

    return sums


def _leaf_rows(
    leaf: Leaf, row: Callable[[int], Row], shared_row: Callable[[int], Row]
) -> Callable[[str], Iterable[Row]]:
    """A function from a text to the rows of its terms.

    Args:
        leaf: where terms are looked up.
        row: makes the row of a term.
        shared_row: remembers it, for what will be remembered itself.
    """
    analyzer = leaf.analyzer
    settings = analyzer.settings
    offset = leaf.offset
    flat = chain.from_iterable
    rows_of: Callable[[str], Iterable[Row]]
    split = analyzer.split
    if analyzer.terms_of_parts:
        find = leaf.terms.find

        def rows_of_part(part: str) -> tuple[Row, ...]:
            indexes = map(find, analyzer.terms(part))
            return tuple([shared_row(offset + index) for index in indexes if index is not None])

        rows_of_parts = Memory(rows_of_part, PART_BYTES + 72).__getitem__

        def rows_of(text: str) -> Iterable[Row]:
            return flat(map(rows_of_parts, split(text)))

    elif leaf.ngrams is not None:
        find_token = leaf.ngrams.tokens.find
        find_terms = leaf.ngrams.finder(settings.min_n, settings.max_n)

        def tokens_of_part(part: str) -> tuple[int, ...]:
            numbers = map(find_token, analyzer.tokens(part))
            return tuple([UNKNOWN if number is None else number for number in numbers])

        tokens_of_parts = Memory(tokens_of_part, PART_BYTES + 72).__getitem__

        def rows_of(text: str) -> Iterable[Row]:
            tokens = list(flat(map(tokens_of_parts, split(text))))
            return [row(offset + index) for index in find_terms(tokens)]

    else:
        index_of = Memory(leaf.terms.find, PART_BYTES).__getitem__
        terms = analyzer.terms

        def rows_of(text: str) -> Iterable[Row]:
            indexes = map(index_of, terms(text))
            return [row(offset + index) for index in indexes if index is not None]

    if settings.binary:
        return lambda text: {values[0]: values for values in rows_of(text)}.values()
    return rows_of


def _rows(model: Model, group: Group) -> Callable[[int], Row]:
    """A function from a term's number to a row: the number, and its share of all sums.

    The share is that of a count of one. Where the group has a norm, the first sum is for that.
    """
    width = model.columns + (group.tfidf.norm is not None)
    numbers = struct.Struct(f"={width}d").unpack_from
    buffer = group.rows
    row_bytes = 8 * width
    offset = group.offset

    def row(term: int) -> Row:
        return (term, *numbers(buffer, (term - offset) * row_bytes))

    return row
