"""What front workers count of one model, added up.

Workers report differences, so that a worker's end takes nothing back: what it reported stays, and
a counter never falls.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from hotserve.ipc.counts import BOUNDS, FAST, NONE, OTHER, PROCESS, SUMMED

MOST_CATEGORIES = 100
"""Categories with a series of their own; a model's answers can be any text."""


class ModelMetrics:
    """The sums of one model.

    Series of a version stay when another takes over: a version takes a person's decision and
    seconds to start, so there are few.

    Attributes:
        counts: by the names of `SUMMED`, of `products` (by category and version) and of `terms`
            (by whether they are known, and version).
        sure, top: texts with a probability, and the sum of these, by version.
        buckets, seconds: how long answers took, by who answered.
        in_flight: requests under way, by worker.
    """

    def __init__(self) -> None:
        self.counts: defaultdict[str, Counter[tuple[Any, ...]]] = defaultdict(Counter)
        self.sure: Counter[str] = Counter()
        self.top: dict[str, float] = {}
        self.buckets = {lane: [0] * (len(BOUNDS) + 1) for lane in (FAST, PROCESS, NONE)}
        self.seconds = dict.fromkeys((FAST, PROCESS, NONE), 0.0)
        self.in_flight: dict[int, int] = {}
        self._categories: set[str] = set()

    def add(self, worker: int, report: Mapping[str, Any]) -> None:
        """Add what a worker counted since its last report."""
        self.in_flight[worker] = report["in_flight"]
        for name in SUMMED:
            for *key, count in report.get(name, ()):
                self.counts[name][tuple(key)] += count
        for version, category, count in report.get("products", ()):
            self.counts["products"][self._bounded(category), version] += count
        for version, known, unknown, sure, top in report.get("samples", ()):
            self.counts["terms"]["true", version] += known
            self.counts["terms"]["false", version] += unknown
            self.sure[version] += sure
            self.top[version] = self.top.get(version, 0.0) + top
        for lane, (buckets, seconds) in report.get("latency", {}).items():
            self.buckets[lane] = list(map(sum, zip(self.buckets[lane], buckets, strict=True)))
            self.seconds[lane] += seconds

    def seen(self, version: str) -> dict[str, Any] | None:
        """What a version's trainer says in `expected`, of what it was sent so far, if anything."""
        products = {each: n for (each, of), n in self.counts["products"].items() if of == version}
        total = sum(products.values())
        if not total:
            return None
        known, unknown = (self.counts["terms"][each, version] for each in ("true", "false"))
        sure = self.sure[version]
        return {
            "unknown_terms": round(unknown / (known + unknown), 3) if known + unknown else None,
            "top_probability": round(self.top[version] / sure, 3) if sure else None,
            "products": {each: round(n / total, 3) for each, n in sorted(products.items())},
        }

    def _bounded(self, category: str) -> str:
        # JSON can hold half a surrogate pair, which UTF-8 has no bytes for.
        category = category.encode("utf-8", "replace").decode()
        if category not in self._categories:
            if len(self._categories) >= MOST_CATEGORIES:
                return OTHER
            self._categories.add(category)
        return category
