"""Pictures of an evaluation.

Figures are made without pyplot: its global state costs a second to import and is of no use to a
process that shows nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from produtos.model.evaluation import Evaluation

DOTS_PER_INCH = 90


def save_confusion_matrix(evaluations: dict[str, Evaluation], path: Path) -> None:
    """Write the confusion matrices side by side as a PNG, each under its title."""
    figure, all_axes = _figure(len(evaluations), 4.6)
    for axes, (title, evaluation) in zip(all_axes, evaluations.items(), strict=True):
        matrix = np.asarray(evaluation.matrix)
        axes.imshow(matrix, cmap="Blues")
        label_matrix(
            axes, matrix, evaluation.categories, np.where(matrix > matrix.max() / 2, "w", "k")
        )
        axes.set(title=title, xlabel="predicted", ylabel="true")
    _save(figure, path)


def label_matrix(axes: Axes, matrix: Any, categories: list[str], colours: Any) -> None:
    """Write a square matrix's numbers into its picture, each in its colour, and its categories."""
    for (row, column), count in np.ndenumerate(matrix):
        colour = colours[row, column]
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(categories)), categories, rotation=30, ha="right")
    axes.set_yticks(range(len(categories)), categories)


def save_report(evaluations: dict[str, Evaluation], path: Path) -> None:
    """Write precision, recall and F1 of each category, side by side as a PNG."""
    figure, all_axes = _figure(len(evaluations), 3.6)
    for axes, (title, evaluation) in zip(all_axes, evaluations.items(), strict=True):
        figures = ("precision", "recall", "f1")
        positions = np.arange(len(evaluation.categories))
        for offset, name in enumerate(figures):
            values = [evaluation.by_category[category][name] for category in evaluation.categories]
            axes.barh(positions + (offset - 1) * 0.27, values, height=0.25, label=name)
        labels = [
            f"{category} ({evaluation.by_category[category]['products']:.0f})"
            for category in evaluation.categories
        ]
        axes.set_yticks(positions, labels)
        axes.invert_yaxis()
        # The interesting part is near 1; the axis starts at 0 only for a model that is that bad.
        worst = min(values[name] for values in evaluation.by_category.values() for name in figures)
        axes.set_xlim(max(0.0, np.floor(worst * 20) / 20 - 0.05), 1.0)
        axes.grid(axis="x", alpha=0.3)
        axes.set(title=f"{title}: accuracy {evaluation.accuracy:.4f}")
    all_axes[-1].legend(loc="lower left", fontsize="small")
    _save(figure, path)


def _figure(count: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(5.2 * count, height))
    # Margins in inches, for labels of some twenty characters. A layout that measures every text
    # costs as much time as drawing does, twenty times in a sweep.
    width = 5.2 * count
    figure.subplots_adjust(
        left=1.6 / width,
        right=1 - 0.3 / width,
        bottom=0.95 / height,
        top=1 - 0.4 / height,
        wspace=1.7 / 3.0,
    )
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DOTS_PER_INCH, pil_kwargs={"compress_level": 1})
