"""How good the answers are, in figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
)


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

    def report(self) -> dict[str, Any]:
        """The per-class report, ready for JSON."""
        return {
            "accuracy": self.accuracy,
            "f1_macro": self.f1_macro,
            "categories": self.by_category,
        }

    def confusion(self) -> dict[str, Any]:
        """The confusion matrix, ready for JSON."""
        return {"rows": "true", "columns": "predicted", "labels": self.categories} | {
            "matrix": self.matrix
        }


def evaluate(truth: Sequence[str], answers: Sequence[str], categories: Sequence[str]) -> Evaluation:
    """Compare `answers` with `truth`, two sequences of the same length, at least one.

    Args:
        truth: the right category of each product.
        answers: the model's.
        categories: every category there is, in the order to report them.
    """
    # A category that the truth does not hold has no F1 to speak of.
    present = sorted(set(truth))
    report: dict[str, dict[str, float]] = classification_report(
        truth, answers, labels=list(categories), output_dict=True, zero_division=0.0
    )
    return Evaluation(
        accuracy=float(accuracy_score(truth, answers)),
        f1_macro=float(
            f1_score(truth, answers, labels=present, average="macro", zero_division=0.0)
        ),
        categories=list(categories),
        matrix=confusion_matrix(truth, answers, labels=list(categories)).tolist(),
        by_category={
            category: {
                "precision": report[category]["precision"],
                "recall": report[category]["recall"],
                "f1": report[category]["f1-score"],
                "products": int(report[category]["support"]),
            }
            for category in categories
        },
    )
