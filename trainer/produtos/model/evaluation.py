"""How good the answers are, in figures."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FIGURES = {"acuracia": "accuracy", "f1_macro": "f1_macro"}
"""The metrics of a run by name, and the attribute of an evaluation that holds each."""

METRICS = (*FIGURES, *(f"{name}_holdout" for name in FIGURES))
"""On a run's own test split, and on the hold-out that all runs share."""


@dataclass(frozen=True)
class Evaluation:
    """Answers compared with the truth.

    Attributes:
        accuracy: share of right answers.
        f1_macro: mean of the categories' F1, each counting the same.
        categories: the order of the matrix's rows and columns.
        matrix: products by true category (row) and answered category (column).
        by_category: precision, recall, F1 and number of products of each category.
    """

    accuracy: float
    f1_macro: float
    categories: list[str]
    matrix: list[list[int]]
    by_category: dict[str, dict[str, float]]

    def metrics(self, suffix: str = "") -> dict[str, float]:
        """Its figures under the names of `FIGURES`, with the suffix behind each."""
        return {name + suffix: getattr(self, attribute) for name, attribute in FIGURES.items()}

    @property
    def counts(self) -> dict[str, float]:
        """How many products each category has."""
        return {name: figures["products"] for name, figures in self.by_category.items()}

    def report(self) -> dict[str, Any]:
        """The per-class report, ready for JSON."""
        figures = {attribute: getattr(self, attribute) for attribute in FIGURES.values()}
        return figures | {"categories": self.by_category}

    def confusion(self) -> dict[str, Any]:
        """The confusion matrix, ready for JSON."""
        axes = {"rows": "true", "columns": "predicted", "labels": self.categories}
        return axes | {"matrix": self.matrix}


def expected(pipeline: "Pipeline", blocks: Iterable[Sequence[str]]) -> dict[str, Any]:
    """What a server will see of texts like these, which the pipeline was not trained on.

    Args:
        pipeline: one that was trained.
        blocks: the texts, at least one, in as many parts as is convenient.

    Returns:
        `unknown_terms`: share of words that it doesn't know; `top_probability`: mean probability of
        its answers; `products`: share of each category among them. Ready for JSON.
    """
    vectorizer, classifier = pipeline
    analyze = vectorizer.build_analyzer()
    terms, unknown, top = 0, 0, 0.0
    answers: Counter[str] = Counter()
    for texts in filter(None, blocks):
        found = [term for text in texts for term in analyze(text)]
        terms += len(found)
        unknown += sum(term not in vectorizer.vocabulary_ for term in found)
        probabilities = pipeline.predict_proba(texts)
        top += float(probabilities.max(axis=1).sum())
        answers.update(classifier.classes_[probabilities.argmax(axis=1)].tolist())
    return {
        "unknown_terms": unknown / max(terms, 1),
        "top_probability": top / answers.total(),
        "products": {name: count / answers.total() for name, count in sorted(answers.items())},
    }


def evaluate(
    truth: Sequence[str],
    answers: Sequence[str],
    categories: Sequence[str],
    products: Sequence[int] | None = None,
) -> Evaluation:
    """Compare `answers` with `truth`, two sequences of the same length, at least one.

    Args:
        truth: the right category of each product.
        answers: the model's.
        categories: every category there is, in the order to report them.
        products: how many products each of these is; one, if left out.
    """
    # Imported here, as the names of the metrics are asked for where there is no time for it.
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    figures = precision_recall_fscore_support(
        truth, answers, labels=list(categories), sample_weight=products, zero_division=0.0
    )
    _, _, f1, support = figures
    by_category = zip(*(figure.tolist() for figure in figures), strict=True)
    return Evaluation(
        accuracy=float(accuracy_score(truth, answers, sample_weight=products)),
        # A category that the truth does not hold has no F1 to speak of.
        f1_macro=float(f1[support > 0].mean()),
        categories=list(categories),
        matrix=confusion_matrix(
            truth, answers, labels=list(categories), sample_weight=products
        ).tolist(),
        by_category={
            category: dict(zip(("precision", "recall", "f1", "products"), values, strict=True))
            for category, values in zip(categories, by_category, strict=True)
        },
    )
