"""The words of the version that answers, and of the one that is shown beside."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from hotserve.lane import LaneError
from hotserve.worker.explain import Compared, explain
from hotserve.worker.fast_lane import FastLane, opened
from tests.unit.hotserve.lane.lane_corpus import LABELS, TEXTS
from tests.unit.hotserve.worker.front_worker import Compiled, Lane


def test_the_version_beside_explains_the_same_texts() -> None:
    lane = cast(FastLane, Lane())
    beside = Compared(replace(Lane.target, version="8"), cast(Any, Compiled()))
    answer = explain(lane, beside, b'{"inputs": ["halo", "livro"]}')
    assert (b"x-model-version", b"7") in answer.headers
    told = json.loads(answer.body)
    assert list(told) == ["explanations", "compared"]
    assert told["compared"] == {"version": "8", "explanations": told["explanations"]}
    assert [each["terms"][0]["term"] for each in told["explanations"]] == ["halo", "livro"]
    alone = json.loads(explain(lane, None, b'{"inputs": ["halo"]}').body)
    assert list(alone) == ["explanations"]


def test_no_other_file_than_the_one_that_was_told_is_opened(tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    from hotserve.lane.compile import compile_pipeline

    pipeline = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TEXTS, LABELS)
    lane = compile_pipeline(pipeline, tmp_path / "a.lane")
    target = replace(Lane.target, path=str(tmp_path / "a.lane"), checksum=lane.checksum)
    assert opened(target).checksum == lane.checksum
    with pytest.raises(LaneError, match="not the compiled model"):
        opened(replace(target, checksum=lane.checksum ^ 1))
