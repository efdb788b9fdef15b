"""`/explain`: which words decided, from the compiled model of the fast lane."""

import json
from dataclasses import asdict
from typing import Any

from hotserve.lane import Lane
from hotserve.worker.answer import JSON, Answer, encoded
from hotserve.worker.errors import RequestError
from hotserve.worker.fast_lane import FEW, LONGEST_TEXT, FastLane


def explain(lane: FastLane | None, compared: FastLane | None, body: bytes) -> Answer:
    """The answer to a body of JSON, `{"inputs": [text, …]}`.

    Args:
        lane: of the version that answers.
        compared: of the version that is shown beside it.

    Raises:
        RequestError: the body is none, or no lane is open.
    """
    texts = _texts(body)
    if lane is None:
        message = "no words can be named: the fast lane is not open; /model says why"
        raise RequestError(404, message)
    shown: dict[str, Any] = {"explanations": [_shown(lane.compiled, text) for text in texts]}
    if compared is not None:
        shown["compared"] = {
            "version": compared.target.version,
            "explanations": [_shown(compared.compiled, text) for text in texts],
        }
    version = (b"x-model-version", lane.target.version.encode())
    return Answer(200, [JSON, version], encoded(shown))


def _shown(lane: Lane, text: str) -> dict[str, Any]:
    found = lane.explain(text)
    names = [str(label) for label in lane.classes]
    return {
        "category": names[found.index],
        "runner_up": None if found.runner_up is None else names[found.runner_up],
        "margin": found.margin,
        "start": found.start,
        "terms": list(map(asdict, found.contributions)),
    }


def _texts(body: bytes) -> list[str]:
    try:
        request: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError(400, "the body is not JSON") from None
    texts = request.get("inputs") if type(request) is dict else None
    if type(texts) is not list or not all(type(text) is str for text in texts):
        raise RequestError(400, 'send a list of texts: {"inputs": ["boneca de pano"]}')
    if not 0 < len(texts) <= FEW or sum(map(len, texts)) > LONGEST_TEXT:
        most = f"1 to {FEW} texts, with {LONGEST_TEXT} characters together"
        raise RequestError(413 if texts else 400, f"send {most}")
    return texts
