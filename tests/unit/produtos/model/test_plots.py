"""The pictures of a run: what is in them."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from produtos.model import plots
from produtos.model.evaluation import evaluate

TRUTH = ["game", "game", "game", "livro"]
EVALUATION = evaluate(TRUTH, ["game", "livro", "game", "livro"], ["game", "livro"])
BOTH = {"test split": EVALUATION, "hold-out": EVALUATION}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The pictures, in place of their files."""
    figures: list[Figure] = []
    monkeypatch.setattr(plots, "_save", lambda figure, _: figures.append(figure))
    return figures


def labels(ticks: Any) -> list[str]:
    return [each.get_text() for each in ticks]


def test_a_confusion_matrix_has_each_number_in_its_place(drawn: list[Figure]) -> None:
    plots.save_confusion_matrix(BOTH, Path("a.png"))
    first, second = drawn[0].axes
    assert (first.get_title(), second.get_title()) == ("test split", "hold-out")
    assert labels(first.get_xticklabels()) == labels(first.get_yticklabels()) == ["game", "livro"]
    found = {text.get_position(): (text.get_text(), text.get_color()) for text in first.texts}
    # Light on dark, where there are most; x is what was answered.
    assert found == {(0, 0): ("2", "w"), (1, 0): ("1", "k"), (0, 1): ("0", "k"), (1, 1): ("1", "k")}


def test_a_report_has_three_bars_for_each_category(drawn: list[Figure]) -> None:
    plots.save_report(BOTH, Path("a.png"))
    first, second = drawn[0].axes
    assert first.get_title() == "test split: accuracy 0.7500"
    assert labels(first.get_yticklabels()) == ["game (3)", "livro (1)"]
    bars: list[Any] = list(first.patches)
    widths = [round(bar.get_width(), 3) for bar in bars]
    # Precision of both, then recall, then F1.
    assert widths == [1.0, 0.5, 0.667, 1.0, 0.8, 0.667]
    assert first.get_xlim() == (0.45, 1.0)
    legend = second.get_legend()
    assert first.get_legend() is None
    assert legend is not None
    assert labels(legend.get_texts()) == ["precision", "recall", "f1"]


def test_of_very_many_categories_the_largest_are_drawn(drawn: list[Figure]) -> None:
    names = [f"categoria {number:03}" for number in range(400)]
    truth = [name for number, name in enumerate(names) for _ in range(1 + number % 200)]
    many = evaluate(truth, [names[0]] * len(truth), names)
    plots.save_confusion_matrix({"hold-out": many}, Path("a.png"))
    plots.save_report({"hold-out": many}, Path("a.png"))
    matrix, report = (figure.axes[0] for figure in drawn)
    kept = [*names[185:200], *names[385:]]
    assert labels(matrix.get_xticklabels()) == labels(matrix.get_yticklabels()) == kept
    assert len(matrix.texts) == 30 * 30
    assert matrix.get_title() == "hold-out (without 370 other categories)"
    assert labels(report.get_yticklabels())[-1] == "categoria 399 (200)"
    assert len(report.patches) == 3 * 30
    assert report.get_title().endswith(" (without 370 other categories)")


def test_a_category_with_signs_of_money_is_no_formula(tmp_path: Path) -> None:
    names = ["R$ 10% a R$ 20%", "de R$ 50_ até R$ 100^"]
    prices = {"test split": evaluate(names, names, names)}
    plots.save_confusion_matrix(prices, tmp_path / "a.png")
    plots.save_report(prices, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_written(tmp_path: Path) -> None:
    plots.save_report({"test split": EVALUATION}, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
