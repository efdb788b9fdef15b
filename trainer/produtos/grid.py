"""The runs of a sweep: some parameters, each value of one with each of the others."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from produtos.errors import BadInput
from produtos.language import tr
from produtos.parameters import (
    CLASSIFIERS,
    Parameters,
    parse_alpha,
    parse_ngrams,
    parse_test_size,
    parse_yes_or_no,
)

Axes = Mapping[str, Sequence[Any]]
"""Parameters by name, and the values that each is to have."""

CHAPTER: Axes = {"include_names": (True, False), "test_size": (0.1, 0.2, 0.3, 0.4, 0.5)}
"""The ten runs of the chapter."""

MOST_RUNS = 1_000


def grid(common: Parameters, axes: Axes = CHAPTER) -> list[Parameters]:
    """The runs of a sweep: each value of one parameter with each of the others."""
    return [
        replace(common, **dict(zip(axes, values, strict=True)))
        for values in product(*axes.values())
    ]


def parse_grid(written: str) -> Axes:
    """The axes of a grid such as `classifier=naive_bayes,logistic_regression alpha=0.1,1`.

    Returns:
        Those of the chapter, if nothing is written.

    Raises:
        BadInput: it is none.
    """
    axes: dict[str, list[Any]] = {}
    for word in written.split():
        name, _, values = word.partition("=")
        name = name.replace("-", "_")
        if name not in READ or name in axes:
            raise BadInput(
                "--grid {word}: write each of {names} once at most, as in alpha=0.1,1 ngrams=1,2",
                word=word,
                names=", ".join(READ),
            )
        try:
            axes[name] = list(dict.fromkeys(map(READ[name], values.split(","))))
        except argparse.ArgumentTypeError as error:
            raise BadInput("--grid {word}: {error}", word=word, error=error) from None
    if (runs := math.prod(map(len, axes.values()))) > MOST_RUNS:
        raise BadInput(
            "--grid {written}: these are {runs:,} runs; ask for {most:,} at most",
            written=written,
            runs=runs,
            most=MOST_RUNS,
        )
    return axes or CHAPTER


def _parse_classifier(written: str) -> str:
    """The name of a classifier.

    Raises:
        argparse.ArgumentTypeError: there is none of that name.
    """
    if written not in CLASSIFIERS:
        raise argparse.ArgumentTypeError(
            tr("there is no classifier {written!r}; choose {names}").format(
                written=written, names=tr(" or ").join(CLASSIFIERS)
            )
        )
    return written


READ: dict[str, Callable[[str], Any]] = {
    "test_size": parse_test_size,
    "include_names": parse_yes_or_no,
    "strip_accents": parse_yes_or_no,
    "classifier": _parse_classifier,
    "alpha": parse_alpha,
    "ngrams": parse_ngrams,
}
"""The parameters that a grid may vary, and what reads a value of each."""
