"""The words of the version that answers, and of the one that is shown beside."""

import json
from dataclasses import replace
from typing import cast

from hotserve.worker.explain import explain
from hotserve.worker.fast_lane import FastLane
from tests.unit.hotserve.worker.front_worker import Lane


def test_the_version_beside_explains_the_same_texts() -> None:
    lane = cast(FastLane, Lane())
    beside = Lane()
    beside.target = replace(Lane.target, version="8")
    answer = explain(lane, cast(FastLane, beside), b'{"inputs": ["halo", "livro"]}')
    assert (b"x-model-version", b"7") in answer.headers
    told = json.loads(answer.body)
    assert list(told) == ["explanations", "compared"]
    assert told["compared"] == {"version": "8", "explanations": told["explanations"]}
    assert [each["terms"][0]["term"] for each in told["explanations"]] == ["halo", "livro"]
    alone = json.loads(explain(lane, None, b'{"inputs": ["halo"]}').body)
    assert list(alone) == ["explanations"]
