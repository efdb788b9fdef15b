"""Counts requests in a front worker; what was counted goes to the manager as differences.

Everything here is paid by each request, so there are plain numbers only: no locks (a worker is one
thread), nothing of prometheus_client's, which lives in the manager.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from hotserve.ipc.counts import BOUNDS, FAST, NONE, OTHER, PROCESS, SUMMED

MOST_CATEGORIES = 1000
"""Categories that one report may name; the answers of a model can be any text."""
LONGEST_CATEGORY = 200
SAMPLED = 4000
"""Characters of texts that are sampled between two reports, which is about a second.

Where there are many models they share them.
"""
FEWEST_SAMPLED = 100


class LaneProducts:
    """How many products got each class of one version's fast lane, and how well it knew them.

    Attributes:
        samples: terms known, terms unknown, texts with a probability, sum of these.
    """

    __slots__ = ("categories", "counts", "samples", "version")

    def __init__(self, version: str, categories: Sequence[str]) -> None:
        self.version = version
        self.categories = list(categories)
        self.counts = [0] * len(categories)
        self.samples = [0, 0, 0, 0.0]

    def add_sample(self, terms: int, known: int, top: float | None) -> None:
        """Count a text by what `Lane.inspect` gave for it."""
        sample = known, terms - known, int(top is not None), top or 0.0
        self.samples = [sum(pair) for pair in zip(self.samples, sample, strict=True)]

    def add(self, classes: Sequence[int]) -> None:
        """Count products by the index of their class."""
        if len(classes) == 1:
            self.counts[classes[0]] += 1
            return
        for index, products in Counter(classes).items():
            self.counts[index] += products


class Counters:
    """All counts of one model in one worker.

    Attributes:
        begun: requests to `/invocations` so far; the only number that is never set back.
        to_sample: characters of texts that may be sampled before the next report.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.to_sample = SAMPLED
        self._ended = 0
        self._reported = (0, 0)  # begun and under way, when last reported
        # Kept as long as the worker lives: a request may still be under way on an old lane.
        self._lanes: dict[tuple[str, ...], LaneProducts] = {}
        self._buckets = {lane: [0] * (len(BOUNDS) + 1) for lane in (FAST, PROCESS, NONE)}
        self._seconds = dict.fromkeys(self._buckets, 0.0)
        self._counts: dict[str, Counter[Any]] = {name: Counter() for name in ("products", *SUMMED)}
        self._requests = self._counts["requests"]

    def lane(self, version: str, categories: Sequence[str]) -> LaneProducts:
        """Where the fast lane of a version counts its products."""
        return self._lanes.setdefault((version, *categories), LaneProducts(version, categories))

    def request(
        self, status: int, lane: str, version: str, seconds: float, client: str = ""
    ) -> None:
        """Count the answer to a request to `/invocations`; `client` is its token's name."""
        self._ended += 1
        self._requests[status, lane, version] += 1
        self._buckets[lane][bisect_left(BOUNDS, seconds)] += 1
        self._seconds[lane] += seconds
        if client:
            self._counts["client_requests"][client,] += 1

    def other(self, path: str, status: int) -> None:
        """Count a request to another path; `path` is one of a few."""
        self._counts["other_requests"][path, status] += 1

    def batch(self, version: str, requests: int, rows: int) -> None:
        """Count requests that were answered together."""
        self._counts["batches"][version, requests] += 1
        self._counts["batch_rows"][version,] += rows

    def failed_batch(self, version: str) -> None:
        """Count a joint request whose parts had to be asked one by one."""
        self._counts["failed_batches"][version,] += 1

    def products(self, version: str, categories: Iterable[str]) -> None:
        """Count the products of an answer of the model's process."""
        counts = self._counts["products"]
        for category, products in Counter(categories).items():
            known = (version, category) in counts
            full = len(counts) >= MOST_CATEGORIES or len(category) > LONGEST_CATEGORY
            counts[version, category if known or not full else OTHER] += products

    @property
    def has_changed(self) -> bool:
        """Whether anything happened since the last `take`."""
        return self._reported != (self.begun, 0) or bool(self._counts["other_requests"])

    def take(self, to_sample: int = SAMPLED) -> dict[str, Any]:
        """What was counted since the last call, and what is under way, as plain JSON types.

        Args:
            to_sample: characters that may be sampled until the next call.
        """
        in_flight = self.begun - self._ended
        self._reported = self.begun, in_flight
        self.to_sample = to_sample
        report: dict[str, Any] = {"in_flight": in_flight}
        for lane in self._lanes.values():
            for index, products in enumerate(lane.counts):
                if products:
                    self._counts["products"][lane.version, lane.categories[index]] += products
                    lane.counts[index] = 0
            if any(lane.samples):
                report.setdefault("samples", []).append([lane.version, *lane.samples])
                lane.samples = [0, 0, 0, 0.0]
        for name, counter in self._counts.items():
            if counter:
                report[name] = [[*key, count] for key, count in counter.items()]
                counter.clear()
        if "requests" in report:
            report["latency"] = {}
            for who, buckets in self._buckets.items():
                if any(buckets):
                    report["latency"][who] = buckets, self._seconds[who]
                    self._buckets[who], self._seconds[who] = [0] * len(buckets), 0.0
        return report
