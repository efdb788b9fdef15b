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


def test_a_picture_is_written(tmp_path: Path) -> None:
    plots.save_report({"test split": EVALUATION}, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
