"""Pictures of an evaluation.

Figures are made without pyplot: its global state costs a second to import and is of no use to a
process that shows nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from produtos.language import tr
from produtos.model.evaluation import Evaluation

DOTS_PER_INCH = 90

MOST_DRAWN = 30
"""Categories of a picture: more could not be read, and would take minutes and gigabytes to draw."""

# A category may be called `R$ 50 a R$ 100`, which is no formula.
rcParams["text.parse_math"] = False


def save_confusion_matrix(evaluations: dict[str, Evaluation], path: Path) -> None:
    """Write the confusion matrices side by side as a PNG, each under its title."""
    figure, all_axes = _figure(len(evaluations), 4.6)
    for axes, (title, evaluation) in zip(all_axes, evaluations.items(), strict=True):
        categories, others = drawn(evaluation.counts)
        places = [evaluation.categories.index(each) for each in categories]
        matrix = np.asarray(evaluation.matrix)[np.ix_(places, places)]
        axes.imshow(matrix, cmap="Blues")
        label_matrix(axes, matrix, categories, np.where(matrix > matrix.max() / 2, "w", "k"))
        axes.set(title=f"{title}{others}", xlabel="predicted", ylabel="true")
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
        categories, others = drawn(evaluation.counts)
        of_each = [evaluation.by_category[each] for each in categories]
        positions = np.arange(len(of_each))
        for offset, name in enumerate(figures):
            values = [each[name] for each in of_each]
            axes.barh(positions + (offset - 1) * 0.27, values, height=0.25, label=name)
        labels = [
            f"{category} ({values['products']:.0f})"
            for category, values in zip(categories, of_each, strict=True)
        ]
        axes.set_yticks(positions, labels)
        axes.invert_yaxis()
        # The interesting part is near 1; the axis starts at 0 only for a model that is that bad.
        worst = min(values[name] for values in of_each for name in figures)
        axes.set_xlim(max(0.0, np.floor(worst * 20) / 20 - 0.05), 1.0)
        axes.grid(axis="x", alpha=0.3)
        axes.set(title=f"{title}: accuracy {evaluation.accuracy:.4f}{others}")
    all_axes[-1].legend(loc="lower left", fontsize="small")
    _save(figure, path)


def drawn(counts: Mapping[str, float]) -> tuple[list[str], str]:
    """The categories of a picture in their order, and what its title says of others.

    Args:
        counts: of all categories; where they are too many, those that count most are drawn.
    """
    kept = set(sorted(counts, key=lambda each: -counts[each])[:MOST_DRAWN])
    others = len(counts) - len(kept)
    more = tr(" (without {others:,} other categories)").format(others=others) if others else ""
    return [each for each in counts if each in kept], more


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
