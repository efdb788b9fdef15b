"""The scores of a text, added up in the order in which scikit-learn and SciPy add.

Slower than `fast_scorer`, and asked only where two classes are so near that the order decides.
The vectorizers sort a row's terms; SciPy's product of a CSR row and a dense matrix then starts at
zero and adds value times coefficient, term by term.
"""

from __future__ import annotations

import math
from collections import Counter

from hotserve.lane.model import Group, Model

DOUBLE_ROUNDING = 2.0**-53
SINGLE_ROUNDING = 2.0**-24


def exact_scores(model: Model, text: str) -> tuple[list[float], float]:
    """The scores of a text, and how far from scikit-learn's they can be.

    Returns:
        One score for each column, and 0.0 where they have scikit-learn's very bits, else a
        bound on the difference between two of them.
    """
    columns = model.columns
    coefficients = model.coefficients
    sums = [0.0] * columns
    sizes = [abs(value) for value in model.intercept]
    terms = 0
    same_bits = model.exact and not model.single
    for group in model.groups:
        values, same_values = exact_values(model, group, text)
        same_bits = same_bits and same_values
        terms += len(values)
        for term, value in values:
            row = coefficients[term * columns : (term + 1) * columns]
            for column, coefficient in enumerate(row):
                product = value * coefficient
                sums[column] += product
                sizes[column] += abs(product)
    scores = [total + b for total, b in zip(sums, model.intercept, strict=True)]
    if same_bits or not terms:
        return scores, 0.0
    # Each side's error is below (terms + a few) roundings of the sum of sizes (Higham,
    # Accuracy and Stability of Numerical Algorithms, section 4.2); there are two sides, and
    # two scores.
    rounding = SINGLE_ROUNDING if model.single else DOUBLE_ROUNDING
    return scores, 8 * (terms + 16) * rounding * max(sizes)


def exact_values(model: Model, group: Group, text: str) -> tuple[list[tuple[int, float]], bool]:
    """A group's vector: numbers of terms in order, each with its value; and whether exact."""
    tfidf, log_counts = group.tfidf, model.log_counts
    same_bits = True
    values: list[tuple[int, float]] = []
    for leaf in group.leaves:
        found = Counter(leaf.analyzer.terms(text)).items()
        known = ((leaf.terms.find(term), count) for term, count in found)
        for index, count in sorted((n, count) for n, count in known if n is not None):
            value = 1.0 if leaf.binary else float(count)
            for weight in leaf.weights:
                value *= weight
            if tfidf.sublinear and value <= len(log_counts):
                value = log_counts[int(value) - 1]
            elif tfidf.sublinear:
                # numpy's own logarithm can differ from the C library's in the last bit.
                value, same_bits = 1.0 + math.log(value), False
            if tfidf.idf is not None:
                value *= tfidf.idf[leaf.offset + index - group.offset]
            values.append((leaf.offset + index, value))
    total = 0.0
    for _, value in values:
        total += value * value if tfidf.norm == "l2" else abs(value)
    if tfidf.norm is not None and total:
        total = math.sqrt(total) if tfidf.norm == "l2" else total
        values = [(term, value / total) for term, value in values]
    for weight in group.weights:
        values = [(term, value * weight) for term, value in values]
    return values, same_bits
