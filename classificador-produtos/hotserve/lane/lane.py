"""Answers from a compiled model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hotserve.lane import container
from hotserve.lane import model as models
from hotserve.lane.errors import LaneError, Uncertain
from hotserve.lane.exact_scorer import exact_scores
from hotserve.lane.explanation import Explanation, explain
from hotserve.lane.fast_scorer import Scorer, fast_scorer, slack
from hotserve.lane.probabilities import KINDS

if TYPE_CHECKING:
    from hotserve.lane.batch_scorer import BatchScorer

Label = str | int | bool

SMALLEST_BATCH = 64
"""From so many texts on, numpy is worth its calls."""


class Lane:
    """A compiled model, ready to answer.

    Attributes:
        checksum: of the file that it was read from.
        classes: the labels, in the order of `predict_proba`'s numbers.
        has_probabilities: whether `predict_proba` works.
        info: facts about the model for people: `pipeline`, `terms`, `scikit_learn`.
        class_index: the index in `classes` of a text's label; Uncertain if rounding decides it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Map a file that `hotserve.lane.compile` wrote.

        Raises:
            LaneError: it can't be used; one line says why.
        """
        try:
            header, self.checksum = container.read(path)
            self.model = model = models.read(header)
        except LaneError as error:
            raise LaneError(f"{os.fspath(path)}: {error}") from None
        self.info: dict[str, object] = header.get("info", {})
        self.classes: list[Label] = list(model.classes)
        self.has_probabilities = model.probability is not None
        self._batch: BatchScorer | None = None
        self.class_index: Callable[[str], int] = _chooser(model, fast_scorer(model))
        self._labels = [json.dumps(label).encode() for label in self.classes]

    def predict(self, texts: Sequence[str]) -> list[Label]:
        """The model's label for each text.

        Raises:
            Uncertain: rounding decides the answer to one of them; ask the model itself.
        """
        return [self.classes[index] for index in self.class_indexes(texts)]

    def predict_json(self, texts: Sequence[str]) -> bytes:
        """`json_of` the classes of some texts; errors as `predict`."""
        return self.json_of(self.class_indexes(texts))

    def json_of(self, indexes: Sequence[int]) -> bytes:
        """The body, byte for byte, that MLflow's scoring server answers with those classes."""
        labels = self._labels
        return b'{"predictions": [' + b", ".join([labels[index] for index in indexes]) + b"]}"

    def predict_proba(self, texts: Sequence[str]) -> list[list[float]]:
        """The probability of each class, for each text; the model's own to within 1e-9.

        Raises:
            LaneError: the model has none, or only in single precision.
        """
        kind = self.model.probability
        if kind is None:
            raise LaneError("this model gives no probabilities here")
        probabilities = KINDS[kind]
        # Adding up a long text's terms one by one would cost a probability its tenth digit.
        return [probabilities(exact_scores(self.model, text)[0]) for text in texts]

    def explain(self, text: str) -> Explanation:
        """What each term of a text adds to the class that it gets."""
        return explain(self.model, text)

    def inspect(self, text: str) -> tuple[int, int, float | None]:
        """How far a text is from what the model was trained on.

        Returns:
            How many terms the vectorizers see in it, how many of them they know, and the largest
            probability; None where the model gives none.
        """
        leaves = self.model.leaves
        found = [leaf.terms.find(term) for leaf in leaves for term in leaf.analyzer.terms(text)]
        top = max(self.predict_proba([text])[0]) if self.has_probabilities else None
        return len(found), len(found) - found.count(None), top

    def class_indexes(self, texts: Sequence[str]) -> list[int]:
        """The index in `classes` of each text's label.

        Raises:
            Uncertain: rounding decides the answer to one of them; ask the model itself.
        """
        if len(texts) >= SMALLEST_BATCH and self.model.exact and not self.model.single:
            if self._batch is None and find_spec("numpy"):
                from hotserve.lane.batch_scorer import BatchScorer

                self._batch = BatchScorer(self.model)
            if self._batch is not None:
                return list(self._batch.class_indexes(texts, self.class_index))
        return list(map(self.class_index, texts))


def _chooser(model: models.Model, fast: Scorer) -> Callable[[str], int]:
    """A function from a text to the index of its class."""
    bound = slack(model)
    lowest = float("-inf")

    def choose_exactly(text: str) -> int:
        sums, doubt = exact_scores(model, text)
        scores = model.of_classes(sums)
        best = max(scores)
        if doubt and sum(best - score <= doubt for score in scores) > 1:
            raise Uncertain(f"two classes are within {doubt:.3g} on {text[:60]!r}")
        return scores.index(best)

    def choose(text: str) -> int:
        scores = fast(text)
        best = max(scores)
        index = scores.index(best)
        scores[index] = lowest
        if best - max(scores) > bound(len(text)):
            return index
        return choose_exactly(text)

    def choose_of_two(text: str) -> int:
        (score,) = fast(text)
        if abs(score) > bound(len(text)):
            return int(score > 0.0)
        return choose_exactly(text)

    if model.columns == 1:
        return choose_of_two if len(model.classes) > 1 else lambda _: 0
    return choose
