"""Why a text got its class: what each of its terms adds to the scores.

The classifiers of the lane are linear: a score is a start of its own (prior or intercept) plus a
weight for each term. So the sums told here are not an estimate; they are how the class was chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hotserve.lane.exact_scorer import exact_scores, exact_values
from hotserve.lane.model import Model


@dataclass(frozen=True, slots=True)
class Contribution:
    """A term of the text, as the model reads it.

    Attributes:
        count: how often it is there.
        weight: what all of them add to the margin, below zero where they speak for the runner-up;
            None if the model does not know the term.
    """

    term: str
    count: int
    weight: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The class of a text against the one that came second.

    Attributes:
        index: of the class in the lane's `classes`.
        runner_up: index of the second one; None where there is one class only.
        margin: how far apart their scores are: `start` and all weights together.
        start: how far apart they are on a text without terms.
        contributions: in the order in which the terms are first met.
    """

    index: int
    runner_up: int | None
    margin: float
    start: float
    contributions: list[Contribution]


def explain(model: Model, text: str) -> Explanation:
    """Add up a text's scores once more, term by term."""
    columns = model.columns
    classes = range(len(model.classes))
    scores = model.of_classes(exact_scores(model, text)[0])
    # Of equal ones the first, as in the lane.
    index, *others = sorted(classes, key=lambda each: -scores[each])
    runner_up = others[0] if others else None

    def between(row: Sequence[float]) -> float:
        """What a row of numbers, one a column, says for the best class."""
        if runner_up is None:
            return 0.0
        row = model.of_classes(row)
        return row[index] - row[runner_up]

    found: list[Contribution] = []
    for group in model.groups:
        values = dict(exact_values(model, group, text)[0])
        for leaf in group.leaves:
            for term, count in Counter(leaf.analyzer.terms(text)).items():
                weight = None
                if (at := leaf.terms.find(term)) is not None:
                    at += leaf.offset
                    row = model.coefficients[at * columns : (at + 1) * columns].tolist()
                    weight = values[at] * between(row)
                found.append(Contribution(term, count, weight))
    return Explanation(index, runner_up, between(scores), between(model.intercept), found)
