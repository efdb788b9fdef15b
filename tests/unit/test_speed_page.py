"""The figures on the page about speed are those of the raw figures."""

import json

import pytest

from benchmarks import serve_report
from benchmarks.machine import RESULTS


def test_the_page_shows_the_raw_figures() -> None:
    products = json.loads((RESULTS / "serve.json").read_text("utf-8"))
    models = json.loads((RESULTS / "serve-models.json").read_text("utf-8"))
    text = serve_report.PAGE.read_text("utf-8")
    assert serve_report.page(text, serve_report.PRODUCTS, serve_report.tables(products)) == text
    again = serve_report.page(text, serve_report.MODELS, serve_report.tables_of_models(models))
    assert again == text
    assert serve_report.PLOT.stat().st_size > 1_000
    assert serve_report.MODELS_PLOT.stat().st_size > 1_000


def test_a_page_without_its_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        serve_report.page("# Speed\n", serve_report.PRODUCTS, "")
