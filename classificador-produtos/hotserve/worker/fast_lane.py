"""The fast lane in a front worker: from a request's body to the body of its answer.

Whatever is not plainly one of the forms that were compared gives None, and goes to the model's
own process: a body that can't be read, a number among the texts, a key too many.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from hotserve.batching import requests
from hotserve.inputs import csv, json_tables
from hotserve.inputs import json_forms as lane_forms
from hotserve.inputs.bodies import CsvError
from hotserve.inputs.columns import CATEGORY, PROBABILITIES, text_columns, text_of
from hotserve.inputs.single_text import single_text
from hotserve.ipc.counts import FAST
from hotserve.ipc.messages import LaneTarget
from hotserve.lane import Lane, LaneError, Uncertain
from hotserve.worker.answer import JSON, Headers
from hotserve.worker.counters import Counters

Texts = list[str]

SLICE = 1024
"""Texts that are answered in one go; other requests have their turn between two of them."""
FEW = 16
"""Texts that are answered without letting another request in between, or sampled of a batch."""
LONGEST_TEXT = 20_000
"""Characters; a longer text would hold up the others for too long."""
LARGEST_JSON = 2 << 20
"""Bytes; JSON is read in one go, so a larger one would hold up the others for too long."""
LARGE_CSV = 1 << 20
"""Bytes; a larger one is translated in a thread of its own."""
CLOSE = 1e-6
"""Two probabilities nearer than this may be in another order in the model's own sums."""


class FastLane:
    """An open lane, ready to answer.

    Attributes:
        target: the version, and the forms of request that it may answer.
        headers: of its answers.
        compiled: the compiled model.
    """

    def __init__(self, target: LaneTarget, counters: Counters) -> None:
        """Map the file.

        Raises:
            LaneError: it can't be used, or is another one.
        """
        self.target = target
        self.compiled = lane = Lane(target.path)
        if lane.checksum != target.checksum:
            raise LaneError(f"{target.path} is not the compiled model that was compared")
        self._class_index = lane.class_index
        self._forms = frozenset(target.forms)
        self._names = [str(label) for label in lane.classes]
        self._counters = counters
        self._products = counters.lane(target.version, self._names)
        self._counts = self._products.counts
        self._bodies = [lane.json_of([index]) for index in range(len(lane.classes))]
        self.headers: Headers = [
            JSON,
            (b"x-model-version", target.version.encode()),
            (b"x-hotserve-lane", FAST.encode()),
        ]
        self._heads: dict[int, bytes] = {}
        self._lines_are_texts = target.csv and not target.columns

    def answer_now(self, content_type: bytes, body: bytes) -> bytes | None:
        """The body of the answer to a single text or to a few without probabilities, else None."""
        if len(body) > LONGEST_TEXT:
            return None
        if content_type == b"text/csv":
            return self._answer_one(body) if self._lines_are_texts else None
        request = self._of_json(body) if requests.TYPES.get(content_type) == requests.JSON else None
        if request is None:
            return None
        texts, probabilities = request
        if probabilities or len(texts) > FEW:
            return None
        try:
            indexes = self.compiled.class_indexes(texts)
        except Uncertain:
            return None
        self._products.add(indexes)
        self._sample(texts)
        return self.compiled.json_of(indexes)

    def _answer_one(self, body: bytes) -> bytes | None:
        """The answer to text/csv that is plainly a single text: the case that has to be quick."""
        text = single_text(body)
        if text is None:
            return None
        try:
            index = self._class_index(text)
        except Uncertain:
            return None
        self._counts[index] += 1
        if self._counters.to_sample > 0:
            self._sample([text])
        return self._bodies[index]

    async def answer(self, content_type: bytes, body: bytes) -> bytes | None:
        """The body of the answer, or None where the model's process has to give it.

        Other requests have their turn between two parts.
        """
        probabilities = False
        parts: Iterable[Texts]
        kind = requests.TYPES.get(content_type)
        if kind == requests.JSON:
            request = self._of_json(body) if len(body) <= LARGEST_JSON else None
            if request is None:
                return None
            texts, probabilities = request
            parts = (texts[at : at + SLICE] for at in range(0, len(texts), SLICE))
        elif kind == requests.CSV and self.target.csv:
            parts = map(csv.Products.texts, csv.read(body, self.target.columns, SLICE))
        else:
            return None
        indexes: list[int] = []
        answers: list[dict[str, Any]] = []
        try:
            for part in parts:
                if indexes:
                    await asyncio.sleep(0)
                if any(len(text) > LONGEST_TEXT for text in part):
                    return None
                if probabilities:
                    for chances in self.compiled.predict_proba(part):
                        index = _most_likely(chances)
                        indexes.append(index)
                        shares = dict(zip(self._names, chances, strict=True))
                        answers.append({CATEGORY: self._names[index], PROBABILITIES: shares})
                else:
                    indexes += self.compiled.class_indexes(part)
                self._sample(part)
        except (CsvError, Uncertain):
            return None
        self._products.add(indexes)
        if probabilities:
            return json.dumps({"predictions": answers}).encode()
        return self.compiled.json_of(indexes)

    def head(self, length: int) -> bytes:
        """The headers of an answer of that length as they are sent, and the empty line."""
        head = self._heads.get(length)
        if head is None:
            headers = [*self.headers, (b"content-length", b"%d" % length)]
            head = b"".join(b"%b: %b\r\n" % pair for pair in headers) + b"\r\n"
            if len(self._heads) < 256:
                self._heads[length] = head
        return head

    def _sample(self, texts: Texts) -> None:
        """Sample a few of the texts, as long as this second's characters last."""
        for text in texts[:: 1 + len(texts) // FEW]:
            if self._counters.to_sample <= 0:
                return
            self._counters.to_sample -= 1 + len(text)
            self._products.add_sample(*self.compiled.inspect(text))

    def _of_json(self, body: bytes) -> tuple[Texts, bool] | None:
        """The texts of a request, and whether it asks for probabilities."""
        try:
            # The same parser as MLflow's: of a key that is there twice the last one counts.
            request = json.loads(body)
            probabilities = "params" in request
            params = request.pop("params") if probabilities else None
            ((kind, data),) = request.items()
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        # Not == alone, to which 1 and True are one.
        if probabilities and (params != lane_forms.PARAMS or params["probabilities"] is not True):
            return None
        texts = self._texts(kind, data, lane_forms.PROBABILITIES if probabilities else "")
        return None if not texts else (texts, probabilities)

    def _texts(self, kind: str, data: Any, suffix: str) -> Texts | None:
        if kind in (lane_forms.INPUTS, lane_forms.INSTANCES):
            return data if kind + suffix in self._forms and _all_text(data) else None
        table = json_tables.table(kind, data)
        if table is None or lane_forms.table_form(kind, table[0]) + suffix not in self._forms:
            return None
        names, rows = table
        if not all(map(_all_text, rows)) or (kind == lane_forms.SPLIT and "index" in data):
            return None
        indexes = text_columns(names, ()).values()
        return [text_of(row[index] for index in indexes) for row in rows]


def _most_likely(chances: list[float]) -> int:
    *_, second, first = -1.0, *sorted(chances)
    if first - second < CLOSE:
        raise Uncertain
    return chances.index(first)


def _all_text(values: Any) -> bool:
    return type(values) is list and bool(values) and all(type(value) is str for value in values)
