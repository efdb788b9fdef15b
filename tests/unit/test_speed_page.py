"""The page of speeds says what was measured."""

import json

import pytest

from benchmarks import serve_report
from benchmarks.machine import RESULTS


def test_the_page_shows_the_raw_figures() -> None:
    result = json.loads((RESULTS / "serve.json").read_text("utf-8"))
    text = serve_report.PAGE.read_text("utf-8")
    assert serve_report.page(text, result) == text
    assert serve_report.PLOT.stat().st_size > 1_000


def test_a_page_without_marks_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        serve_report.page("# Speed\n", {})
