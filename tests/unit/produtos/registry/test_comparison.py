"""Whether a version may replace another: figures, categories, and McNemar's exact test."""

import pytest

from produtos.model.evaluation import evaluate
from produtos.registry.comparison import Measured, mcnemar, table, worse

TRUTH = ["livro"] * 10 + ["game"] * 10
CATEGORIES = ["game", "livro"]


def measured(version: str, *wrong: int, categories: list[str] | None = None) -> Measured:
    """A version that is wrong on the products at these indices."""
    other = {"livro": "game", "game": "livro"}
    answers = [other[c] if index in wrong else c for index, c in enumerate(TRUTH)]
    right = [index not in wrong for index in range(len(TRUTH))]
    return Measured(
        f"version {version}",
        evaluate(TRUTH, answers, CATEGORIES),
        right,
        same_holdout=True,
        categories=frozenset(categories) if categories else None,
    )


def test_better_and_equal_versions_are_not_refused() -> None:
    assert worse(measured("1", 0, 1), measured("2", 0)) == []
    assert worse(measured("1", 0, 1), measured("2", 0, 1)) == []
    # Other products, but as many of each category.
    assert worse(measured("1", 0, 11), measured("2", 5, 15)) == []


def test_a_worse_version_is_told_by_how_much() -> None:
    reasons = worse(measured("1", 0), measured("2", 0, 1))
    assert reasons[0] == "accuracy 0.9000 is below 0.9500"
    assert reasons[1].startswith("macro F1 0.89")


def test_equal_accuracy_with_a_category_neglected_is_worse() -> None:
    spread, lopsided = measured("1", 0, 1, 10, 11), measured("2", 0, 1, 2, 3)
    assert spread.evaluation.accuracy == lopsided.evaluation.accuracy
    (reason,) = worse(spread, lopsided)
    assert reason.startswith("macro F1")
    assert worse(lopsided, spread) == []


@pytest.mark.parametrize(
    ("current", "candidate", "reasons"),
    [
        (["game", "livro"], ["game", "livro"], []),
        (["game", "livro"], ["casa", "game", "livro"], []),
        (
            ["casa", "game", "jardim", "livro"],
            ["game", "livro"],
            ["it does not know the category casa", "it does not know the category jardim"],
        ),
        (["game", "livro"], ["game", "Livro"], ["it writes the category livro as Livro"]),
        # Models that do not say what they know.
        (None, ["game"], []),
        (["game"], None, []),
    ],
)
def test_a_version_that_loses_a_category_is_worse(
    current: list[str] | None, candidate: list[str] | None, reasons: list[str]
) -> None:
    old = measured("1", categories=current)
    new = measured("2", categories=candidate)
    assert worse(old, new) == reasons


@pytest.mark.parametrize(
    ("only_current", "only_candidate", "p_value"),
    [
        # By hand: twice the sum of the binomial's tail, of n at one half.
        (0, 0, 1.0),
        (1, 0, 1.0),
        (0, 5, 2 / 2**5),
        (2, 8, 2 * (1 + 10 + 45) / 2**10),
        (8, 2, 2 * (1 + 10 + 45) / 2**10),
        (4, 4, 1.0),
    ],
)
def test_mcnemars_exact_test(only_current: int, only_candidate: int, p_value: float) -> None:
    assert mcnemar(only_current, only_candidate) == pytest.approx(p_value)


def test_the_table_shows_both_versions_category_by_category() -> None:
    lines = table(measured("1", 0, 1), measured("7", 10), "the hold-out of a.csv").splitlines()
    assert lines[0] == "on the hold-out of a.csv:"
    assert lines[1].split() == ["version", "1", "version", "7", "difference"]
    assert lines[2].split() == ["accuracy", "0.9000", "0.9500", "+0.0500"]
    assert [line.split()[:2] for line in lines[4:6]] == [["F1", "game"], ["F1", "livro"]]
    assert lines[-1] == (
        "only version 1 is right on 1, only version 7 on 2: McNemar's exact test p = 1"
    )
