"""Many texts at once, with numpy: the very sums of scikit-learn, so that nothing is uncertain.

All parts of all texts become one array of term numbers. Sorted by text and term it holds what
scikit-learn's CSR matrix holds, in its order, and `numpy.bincount` adds up in order too. Imported
for the first large batch only: numpy takes some 16 MB and a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from hotserve.lane.fast_scorer import PART_BYTES, Memory
from hotserve.lane.model import Group, Leaf, Model
from hotserve.lane.ngram_trie import SPREAD, UNKNOWN, NgramTrie

Numbers = np.ndarray[Any, np.dtype[np.int64]]
Values = np.ndarray[Any, np.dtype[np.float64]]
Finder = Callable[[Sequence[str]], Numbers]
"""From texts to the indexes of their terms, END after each text."""

END = -2
"""Stands after the last term of a text; as a node of a trie it is none, like UNKNOWN."""
MARK = "\x01"
"""A part that stands for END between texts; texts that hold it are cut one by one."""
STEP = 1_000_000
"""Characters times lengths of n-grams times columns of one step, about; keeps arrays small."""


class BatchScorer:
    """Chooses classes for many texts."""

    def __init__(self, model: Model) -> None:
        """Prepare for a model whose sums are exact and in double precision."""
        self._model = model
        self._finders = [[_terms_finder(leaf) for leaf in group.leaves] for group in model.groups]
        self._coefficients = np.asarray(model.coefficients).reshape(-1, model.columns)
        self._intercept = np.array(model.intercept)
        self._log_counts = np.asarray(model.log_counts)
        settings = [leaf.analyzer.settings for leaf in model.leaves]
        lengths = sum(1 + each.max_n - each.min_n for each in settings)
        self._step = max(1, STEP // (lengths * model.columns))

    def class_indexes(self, texts: Sequence[str], alone: Callable[[str], int]) -> Iterator[int]:
        """The index of each text's class.

        Args:
            texts: any number.
            alone: chooses for one text, where this can't.
        """
        for step in _steps(texts, self._step):
            scores = self.scores(step)
            if scores is None:
                yield from map(alone, step)
                continue
            if scores.shape[1] < len(self._model.classes):
                # As `Model.of_classes`.
                scores = np.column_stack([np.zeros(len(step)), scores])
            yield from scores.argmax(axis=1).tolist()

    def scores(self, texts: Sequence[str]) -> Values | None:
        """Scores with scikit-learn's very bits, shape (texts, columns).

        None where they would not be: a word is there so often that its logarithm is not at hand.
        """
        vectors = [
            self._vectors(group, finders, texts)
            for group, finders in zip(self._model.groups, self._finders, strict=True)
        ]
        there = [each for each in vectors if each is not None]
        if len(there) < len(vectors):
            return None
        owner, term, value = map(np.concatenate, zip(*there, strict=True))
        rows = self._coefficients[term]
        sums = [
            np.bincount(owner, weights=value * rows[:, column], minlength=len(texts))
            for column in range(self._model.columns)
        ]
        scores: Values = np.column_stack(sums) + self._intercept
        return scores

    def _vectors(
        self, group: Group, finders: Sequence[Finder], texts: Sequence[str]
    ) -> tuple[Numbers, Numbers, Values] | None:
        """A group's vectors: for each value its text, its term and itself, in order."""
        parts = []
        for leaf, find in zip(group.leaves, finders, strict=True):
            owner, term, count = _counted(find(texts), len(leaf.terms))
            value = np.ones(len(count)) if leaf.binary else count.astype(np.float64)
            for weight in leaf.weights:
                value *= weight
            parts.append((owner, term + leaf.offset, value))
        owner, term, value = map(np.concatenate, zip(*parts, strict=True))
        tfidf = group.tfidf
        if tfidf.sublinear:
            if len(value) and value.max() > len(self._log_counts):
                return None
            value = self._log_counts[value.astype(np.int64) - 1]
        if tfidf.idf is not None:
            value = value * np.asarray(tfidf.idf)[term - group.offset]
        if tfidf.norm is not None:
            sizes = value * value if tfidf.norm == "l2" else np.abs(value)
            lengths = np.bincount(owner, weights=sizes, minlength=len(texts))
            if tfidf.norm == "l2":
                lengths = np.sqrt(lengths)
            lengths[lengths == 0.0] = 1.0
            value = value / lengths[owner]
        for weight in group.weights:
            value = value * weight
        return owner, term, value


def _steps(texts: Sequence[str], longest: int) -> Iterator[Sequence[str]]:
    """Runs of texts, none of more characters than `longest` unless it is one text."""
    start = length = 0
    for index, text in enumerate(texts):
        if length and length + len(text) > longest:
            yield texts[start:index]
            start, length = index, 0
        length += len(text) + 1
    yield texts[start:]


def _counted(terms: Numbers, vocabulary: int) -> tuple[Numbers, Numbers, Numbers]:
    """For each text and each term in it: the text's index, the term, and how often.

    Args:
        terms: term numbers, END after each text.
        vocabulary: there is no larger number.
    """
    ends = terms == END
    owner = np.cumsum(ends)
    keys = (owner * (vocabulary + 1) + terms)[~ends]
    keys.sort()
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(first, append=len(keys))
    owner, term = np.divmod(keys[first], vocabulary + 1)
    return owner, term, counts


def _terms_finder(leaf: Leaf) -> Finder:
    analyzer = leaf.analyzer
    find = leaf.terms.find
    if analyzer.terms_of_parts:

        def terms_of_part(part: str) -> tuple[int, ...]:
            return tuple([n for n in map(find, analyzer.terms(part)) if n is not None])

        return _parts_reader(leaf, terms_of_part)
    if leaf.ngrams is not None:
        return _ngrams_finder(leaf, leaf.ngrams)
    index_of = Memory(find, PART_BYTES).__getitem__

    def terms(texts: Sequence[str]) -> Numbers:
        found: list[int] = []
        for text in texts:
            found += [n for n in map(index_of, analyzer.terms(text)) if n is not None]
            found.append(END)
        return np.array(found, dtype=np.int64)

    return terms


def _parts_reader(leaf: Leaf, numbers_of_part: Callable[[str], tuple[int, ...]]) -> Finder:
    """A function from texts to what their parts stand for, END after each text."""

    def numbers(part: str) -> tuple[int, ...]:
        return (END,) if part == MARK else numbers_of_part(part)

    remembered = Memory(numbers, PART_BYTES + 72).__getitem__
    split = leaf.analyzer.split

    def read(texts: Sequence[str]) -> Numbers:
        together = f" {MARK} ".join([*texts, ""])
        if together.count(MARK) == len(texts):
            found = chain.from_iterable(map(remembered, split(together)))
        else:
            found = chain.from_iterable(map(read_one, texts))
        return np.fromiter(found, dtype=np.int64)

    def read_one(text: str) -> Iterator[int]:
        for part in split(text):
            yield from numbers_of_part(part) if part == MARK else remembered(part)
        yield END

    return read


def _ngrams_finder(leaf: Leaf, trie: NgramTrie) -> Finder:
    """`_terms_finder` for runs of words."""
    minimum, maximum = leaf.analyzer.settings.min_n, leaf.analyzer.settings.max_n
    find_token = trie.tokens.find
    tokenize = leaf.analyzer.tokens

    def tokens_of_part(part: str) -> tuple[int, ...]:
        return tuple([UNKNOWN if n is None else n for n in map(find_token, tokenize(part))])

    read = _parts_reader(leaf, tokens_of_part)
    edges = np.frombuffer(trie.edges, dtype=np.uint64)
    children = np.frombuffer(trie.children, dtype=np.uint32)
    indexes = np.frombuffer(trie.indexes, dtype=np.uint32)

    def child(nodes: Numbers, tokens: Numbers) -> Numbers:
        """The node that each token leads to from each node; UNKNOWN where there is none."""
        found = np.full(len(nodes), UNKNOWN, dtype=np.int64)
        open_ends = np.flatnonzero((nodes >= 0) & (tokens >= 0))
        node = nodes[open_ends].astype(np.uint64)
        token = tokens[open_ends].astype(np.uint64)
        keys = (node << np.uint64(32) | token) + np.uint64(1)
        mask = np.uint64(len(edges) - 1)
        slots = (node * np.uint64(SPREAD) + token) & mask
        while len(open_ends):
            there = edges[slots]
            hit = there == keys
            found[open_ends[hit]] = children[slots[hit]]
            on = ~hit & (there != 0)
            open_ends, keys = open_ends[on], keys[on]
            slots = (slots[on] + np.uint64(1)) & mask
        return found

    def terms(texts: Sequence[str]) -> Numbers:
        tokens = read(texts)
        # What follows an END belongs to the next text, so a term's position gives its text; terms
        # of all lengths are put in order of position, each before the END that closes its text.
        ends = np.flatnonzero(tokens == END)
        found, where = [np.full(len(ends), END, dtype=np.int64)], [ends]
        nodes = tokens
        for length in range(1, maximum + 1):
            if length > 1:
                nodes = child(nodes[: len(tokens) - length + 1], tokens[length - 1 :])
            if length >= minimum:
                known = np.flatnonzero(nodes >= 0)
                index = indexes[nodes[known]].astype(np.int64) - 1
                is_term = index >= 0
                found.append(index[is_term])
                where.append(known[is_term])
        order = np.argsort(np.concatenate(where), kind="stable")
        return np.concatenate(found)[order]

    return terms
