"""Counts requests in a front worker; what was counted goes to the manager as differences.

Everything here is paid by each request, so there are plain numbers only: no locks (a worker is one
thread), no labels looked up, nothing of prometheus_client's, which lives in the manager.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from hotserve.ipc.counts import BOUNDS, FAST, NONE, OTHER, PROCESS

MOST_CATEGORIES = 1000
"""Categories that one report may name; the answers of a model can be any text."""
LONGEST_CATEGORY = 200


class Latency:
    """A histogram of seconds."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def take(self) -> tuple[list[int], float]:
        """What was counted since the last call."""
        taken = self.buckets, self.seconds
        self.buckets, self.seconds = [0] * (len(BOUNDS) + 1), 0.0
        return taken


class LaneTally:
    """What the fast lane of one version answered: status 200 only.

    Attributes:
        places: how many products got each of the lane's classes.
    """

    __slots__ = ("categories", "latency", "places", "version")

    def __init__(self, version: str, categories: Sequence[str]) -> None:
        self.version = version
        self.categories = list(categories)
        self.latency = Latency()
        self.places = [0] * len(categories)

    def count(self, places: Sequence[int]) -> None:
        """Count products by the place of their class."""
        if len(places) == 1:
            self.places[places[0]] += 1
            return
        for place, products in Counter(places).items():
            self.places[place] += products


class Tally:
    """All counts of one worker.

    Attributes:
        begun: requests to `/invocations` so far; the only number that is never set back.
    """

    def __init__(self) -> None:
        self.begun = 0
        self._ended = 0
        # Kept as long as the worker lives: a request may still be under way on an old lane.
        self._lanes: dict[tuple[str, ...], LaneTally] = {}
        self._latency = {PROCESS: Latency(), NONE: Latency()}
        self._requests: Counter[tuple[int, str, str]] = Counter()
        self._others: Counter[tuple[str, int]] = Counter()
        self._products: Counter[tuple[str, str]] = Counter()

    def lane(self, version: str, categories: Sequence[str]) -> LaneTally:
        """Where the fast lane of a version counts."""
        key = (version, *categories)
        if key not in self._lanes:
            self._lanes[key] = LaneTally(version, categories)
        return self._lanes[key]

    def request(self, status: int, lane: str, version: str, seconds: float) -> None:
        """Count a request to `/invocations` that the fast lane did not answer."""
        self._ended += 1
        self._requests[status, lane, version] += 1
        self._latency[lane].add(seconds)

    def other(self, path: str, status: int) -> None:
        """Count a request to another path; `path` is one of a few."""
        self._others[path, status] += 1

    def products(self, version: str, categories: Iterable[str]) -> None:
        """Count the products of an answer of the model's process."""
        for category, products in Counter(categories).items():
            known = (version, category) in self._products
            full = len(self._products) >= MOST_CATEGORIES or len(category) > LONGEST_CATEGORY
            self._products[version, category if known or not full else OTHER] += products

    def take(self) -> dict[str, Any]:
        """What was counted since the last call, and what is under way, as plain JSON types."""
        report: dict[str, Any] = {}
        requests, products = self._requests, self._products
        latency = {name: each.take() for name, each in self._latency.items()}
        fast, seconds = [0] * (len(BOUNDS) + 1), 0.0
        for lane in self._lanes.values():
            buckets, more = lane.latency.take()
            answered = sum(buckets)
            if not answered:
                continue
            self._ended += answered
            requests[200, FAST, lane.version] += answered
            fast, seconds = list(map(sum, zip(fast, buckets, strict=True))), seconds + more
            for place, count in enumerate(lane.places):
                if count:
                    products[lane.version, lane.categories[place]] += count
                    lane.places[place] = 0
        latency[FAST] = fast, seconds
        if requests:
            report["requests"] = [[*key, count] for key, count in requests.items()]
            report["latency"] = {name: each for name, each in latency.items() if any(each[0])}
        if products:
            report["products"] = [[*key, count] for key, count in products.items()]
        if self._others:
            report["others"] = [[*key, count] for key, count in self._others.items()]
        requests.clear()
        products.clear()
        self._others.clear()
        return {**report, "in_flight": self.begun - self._ended}
