from pathlib import Path

import pytest

from produtos.model.evaluation import evaluate, expected
from produtos.model.pipeline import build
from produtos.model.plots import save_confusion_matrix, save_report

TRUTH = ["game", "game", "livro", "livro", "livro"]
ANSWERS = ["game", "livro", "livro", "livro", "brinquedo"]
CATEGORIES = ["brinquedo", "game", "livro"]


def test_figures_worked_out_by_hand() -> None:
    evaluation = evaluate(TRUTH, ANSWERS, CATEGORIES)
    assert evaluation.accuracy == pytest.approx(3 / 5)
    # F1 of game is 2/3 (precision 1, recall 1/2), of livro 2/3 (2/3 both).
    assert evaluation.f1_macro == pytest.approx(2 / 3)
    assert evaluation.matrix == [[0, 0, 0], [0, 1, 1], [1, 0, 2]]
    assert evaluation.confusion() == {
        "rows": "true",
        "columns": "predicted",
        "labels": CATEGORIES,
        "matrix": evaluation.matrix,
    }
    report = evaluation.report()
    assert (report["accuracy"], report["f1_macro"]) == (evaluation.accuracy, evaluation.f1_macro)
    assert report["categories"] == evaluation.by_category
    assert list(evaluation.by_category) == CATEGORIES
    assert evaluation.by_category["game"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "products": 2,
    }


def test_what_a_server_will_see_worked_out_by_hand() -> None:
    pipeline = build("naive_bayes", strip_accents=True)
    pipeline.fit(["boneca pano", "livro conto"], ["brinquedo", "livro"])
    texts = ["Boneca de plástico", "livro", "livro conto"]
    seen = expected(pipeline, [texts])
    # `de` is no word here; of boneca, plastico, livro, livro and conto it does not know one.
    assert seen["unknown_terms"] == pytest.approx(1 / 5)
    assert seen["products"] == {"brinquedo": pytest.approx(1 / 3), "livro": pytest.approx(2 / 3)}
    # A word seen once in one of two classes with four words: (2/6) against (1/6).
    assert seen["top_probability"] == pytest.approx((2 / 3 + 2 / 3 + 4 / 5) / 3)


def test_a_category_that_is_not_there_does_not_count_against_f1() -> None:
    perfect = evaluate(["game", "livro"], ["game", "livro"], CATEGORIES)
    assert perfect.f1_macro == 1.0
    assert perfect.by_category["brinquedo"]["products"] == 0


def test_pictures_are_drawn(tmp_path: Path) -> None:
    both = {"test split": evaluate(TRUTH, ANSWERS, CATEGORIES)}
    both["hold-out"] = evaluate(["game"], ["game"], CATEGORIES)
    save_confusion_matrix(both, tmp_path / "matrix.png")
    save_report(both, tmp_path / "report.png")
    for name in ("matrix.png", "report.png"):
        content = (tmp_path / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5_000
