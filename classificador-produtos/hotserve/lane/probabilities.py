"""From scores to probabilities, as scikit-learn's classifiers do it.

Which way a model does it depends on its class, its settings and scikit-learn's version; so the
compiler tries them and keeps the one whose results are the model's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Probabilities = Callable[[Sequence[float]], list[float]]


def softmax(scores: Sequence[float]) -> list[float]:
    """Multinomial logistic regression, and naive Bayes from joint log likelihoods."""
    top = max(scores)
    odds = [math.exp(score - top) for score in scores]
    total = sum(odds)
    return [each / total for each in odds]


def logistic(scores: Sequence[float]) -> list[float]:
    """One binary logistic regression for each class, their sum made one; a single score is binary.

    After Zadrozny and Elkan, "Transforming classifier scores into multiclass probability
    estimates", KDD 2002.
    """
    return _shares([_expit(score) for score in scores])


def modified_huber(scores: Sequence[float]) -> list[float]:
    """SGDClassifier's way for that loss: scores between -1 and 1, made to lie between 0 and 1.

    After Zhang, "Statistical behavior and consistency of classification methods based on convex
    risk minimization", 2004, appendix B.
    """
    return _shares([(min(max(score, -1.0), 1.0) + 1.0) / 2.0 for score in scores])


def symmetric_softmax(scores: Sequence[float]) -> list[float]:
    """Multinomial logistic regression on two classes: a score and its negative."""
    (score,) = scores
    return softmax([-score, score])


KINDS: dict[str, Probabilities] = {
    "softmax": softmax,
    "logistic": logistic,
    "modified_huber": modified_huber,
    "symmetric_softmax": symmetric_softmax,
}


def _expit(score: float) -> float:
    if score >= 0.0:
        return 1.0 / (1.0 + math.exp(-score))
    odds = math.exp(score)
    return odds / (1.0 + odds)


def _shares(chances: list[float]) -> list[float]:
    if len(chances) == 1:
        return [1.0 - chances[0], chances[0]]
    total = sum(chances)
    if not total:
        return [1.0 / len(chances)] * len(chances)
    return [chance / total for chance in chances]
