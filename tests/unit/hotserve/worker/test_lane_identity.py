"""A worker answers from the compiled model that was compared, and from no other."""

from pathlib import Path

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from hotserve.ipc.messages import LaneTarget
from hotserve.lane import Lane, LaneError
from hotserve.lane.compile import compile_pipeline
from hotserve.worker.counters import Counters
from hotserve.worker.fast_lane import FastLane


def compiled(path: Path, *labels: str) -> int:
    """Compile a model of two texts; returns the checksum of its file."""
    pipeline = make_pipeline(CountVectorizer(), MultinomialNB()).fit(["bola", "livro"], labels)
    compile_pipeline(pipeline, path)
    return Lane(path).checksum


def test_a_file_that_was_replaced_by_another_models_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.lane"
    compared = compiled(path, "brinquedo", "leitura")
    target = LaneTarget(
        path=str(path),
        checksum=compared,
        version="1",
        mlflow="3",
        forms=("inputs",),
        csv=True,
        columns=(),
    )
    body = b'{"predictions": ["brinquedo"]}'
    assert FastLane(target, Counters()).answer_now(b"text/csv", b"bola") == body
    assert compiled(path, "toy", "book") != compared
    with pytest.raises(LaneError, match="is not the compiled model that was compared"):
        FastLane(target, Counters())
    compiled(path, "brinquedo", "leitura")
    assert FastLane(target, Counters()).answer_now(b"text/csv", b"bola") == body
