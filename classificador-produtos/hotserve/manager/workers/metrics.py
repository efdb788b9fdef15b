"""`/metrics`: the counts of every front worker added up, and the state of service, for Prometheus.

Workers report differences, so that a worker's end takes nothing back: what it reported stays, and
a counter never falls.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from hotserve import __version__
from hotserve.ipc.counts import BOUNDS, FAST, NONE, OTHER, PROCESS

_BATCH_BOUNDS = (2, 4, 8, 16, 32, 64, 128)
MOST_CATEGORIES = 100
"""Categories with a series of their own; a model's answers can be any text."""


@dataclass(frozen=True, slots=True)
class State:
    """What the manager knows at this moment.

    Attributes:
        model: the answer of `/model`.
        ready: whether a request would be answered now.
        switches: versions that took over so far.
        failed_starts: starts of a version that failed so far.
        worker_restarts: front workers that ended and were replaced so far.
    """

    model: Mapping[str, Any]
    ready: bool
    switches: int
    failed_starts: int
    worker_restarts: int


class Metrics(Collector):
    """Adds up the workers' reports.

    Series of a version stay when another takes over: a version takes a person's decision and
    seconds to start, so there are few.

    Args:
        state: asked at each scrape.
    """

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._others: Counter[tuple[str, ...]] = Counter()
        self._products: Counter[tuple[str, ...]] = Counter()
        self._clients: Counter[tuple[str, ...]] = Counter()
        self._batches: Counter[tuple[str, int]] = Counter()
        self._batch_rows: Counter[tuple[str, ...]] = Counter()
        self._failed_batches: Counter[tuple[str, ...]] = Counter()
        self._terms: Counter[tuple[str, ...]] = Counter()
        self._sure: Counter[str] = Counter()
        self._top: dict[str, float] = {}
        self._categories: set[str] = set()
        self._buckets = {lane: [0] * (len(BOUNDS) + 1) for lane in (FAST, PROCESS, NONE)}
        self._seconds = dict.fromkeys((FAST, PROCESS, NONE), 0.0)
        self._in_flight: dict[int, int] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def add(self, worker: int, report: Mapping[str, Any]) -> None:
        """Add what a worker counted since its last report."""
        self._in_flight[worker] = report["in_flight"]
        for code, lane, version, count in report.get("requests", ()):
            self._requests[str(code), lane, version] += count
        for path, code, count in report.get("others", ()):
            self._others[path, str(code)] += count
        for client, count in report.get("clients", ()):
            self._clients[client,] += count
        for version, size, count in report.get("batches", ()):
            self._batches[version, size] += count
        for version, rows in report.get("batch_rows", ()):
            self._batch_rows[version,] += rows
        for version, count in report.get("failed_batches", ()):
            self._failed_batches[version,] += count
        for version, category, count in report.get("products", ()):
            self._products[self._bounded(category), version] += count
        for version, known, unknown, sure, top in report.get("looks", ()):
            self._terms["true", version] += known
            self._terms["false", version] += unknown
            self._sure[version] += sure
            self._top[version] = self._top.get(version, 0.0) + top
        for lane, (buckets, seconds) in report.get("latency", {}).items():
            self._buckets[lane] = list(map(sum, zip(self._buckets[lane], buckets, strict=True)))
            self._seconds[lane] += seconds

    def gone(self, worker: int) -> None:
        """A worker ended: nothing is under way there any more."""
        self._in_flight.pop(worker, None)

    def text(self, accept: str) -> tuple[str, bytes]:
        """A scrape's answer: content type and body, as the `Accept` header asks for."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def _bounded(self, category: str) -> str:
        # JSON can hold half a surrogate pair, which UTF-8 has no bytes for.
        category = category.encode("utf-8", "replace").decode()
        if category not in self._categories:
            if len(self._categories) >= MOST_CATEGORIES:
                return OTHER
            self._categories.add(category)
        return category

    def collect(self) -> Iterable[Metric]:
        """Every metric as it is now."""
        yield _counters(
            "hotserve_requests",
            "Requests to /invocations by status, by who answered (the fast lane, the model's "
            "process, or neither), and by version.",
            ("code", "lane", "version"),
            self._requests,
        )
        yield self._durations()
        yield _counters(
            "hotserve_products",
            "Products classified, by category and version.",
            ("category", "version"),
            self._products,
        )
        yield _counters(
            "hotserve_other_requests",
            "Requests to every other path, by path and status.",
            ("path", "code"),
            self._others,
        )
        yield _counters(
            "hotserve_client_requests",
            "Requests to /invocations by the name that their token has in the token file.",
            ("client",),
            self._clients,
        )
        yield self._batch_sizes()
        yield _counters(
            "hotserve_batch_rows",
            "Rows of requests that went to the model's process together.",
            ("version",),
            self._batch_rows,
        )
        yield _counters(
            "hotserve_failed_batches",
            "Joint requests that failed, so that their parts were asked one by one.",
            ("version",),
            self._failed_batches,
        )
        yield _counters(
            "hotserve_terms",
            "Words in some texts that the fast lane answered, by whether the model knows them.",
            ("known", "version"),
            self._terms,
        )
        tops = SummaryMetricFamily(
            "hotserve_top_probability",
            "Probability of the answer, for some of the texts that the fast lane answered.",
            labels=("version",),
        )
        for version, texts in self._sure.items():
            if texts:
                tops.add_metric((version,), texts, self._top[version])
        yield tops
        in_flight = sum(self._in_flight.values())
        yield _gauge("requests_in_flight", "Requests to /invocations under way.", in_flight)
        yield from _of_state(self._state())

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "hotserve_request_duration_seconds",
            "From a request's head to its whole answer, /invocations only.",
            labels=("lane",),
        )
        names = [*map(floatToGoString, BOUNDS), "+Inf"]
        for lane, buckets in self._buckets.items():
            total, cumulative = 0, []
            for name, count in zip(names, buckets, strict=True):
                total += count
                cumulative.append((name, total))
            family.add_metric((lane,), cumulative, self._seconds[lane])
        return family

    def _batch_sizes(self) -> Metric:
        family = HistogramMetricFamily(
            "hotserve_batch_requests",
            "Requests that went to the model's process together, two or more, by joint request.",
            labels=("version",),
        )
        for version in sorted({version for version, _ in self._batches}):
            sizes = {size: n for (of, size), n in self._batches.items() if of == version}
            buckets: list[tuple[str, float]] = [
                (f"{bound:.1f}", sum(n for size, n in sizes.items() if size <= bound))
                for bound in _BATCH_BOUNDS
            ]
            buckets.append(("+Inf", sum(sizes.values())))
            requests = sum(size * n for size, n in sizes.items())
            family.add_metric((version,), buckets, requests)
        return family


def _of_state(state: State) -> Iterable[Metric]:
    model = state.model
    yield _gauge("ready", "Whether /ping answers 200.", state.ready)
    lane = (model.get("lane") or {}).get("state")
    yield _gauge("lane_open", "Whether the fast lane is open.", lane == "open")
    batching = (model.get("batching") or {}).get("state")
    yield _gauge("batching_open", "Whether requests may go together.", batching == "open")
    if model.get("registry") is not None:
        reachable = model["registry"]["reachable"]
        yield _gauge("registry_reachable", "Whether the registry answered last.", reachable)
    if model.get("since") is not None:
        labels = ("name", "version", "stage", "run_id")
        served = GaugeMetricFamily(
            "hotserve_model_info",
            "The version that is served; always 1.",
            labels=(*labels, "aliases"),
        )
        values = [str(model.get(label) or "") for label in labels]
        served.add_metric([*values, ",".join(model["aliases"])], 1)
        yield served
    if expected := model.get("expected"):
        yield from _of_training(model["version"] or "", expected)
    for name, text, value in (
        ("switches", "Versions that took over.", state.switches),
        ("failed_starts", "Starts of a version that failed.", state.failed_starts),
        (
            "process_restarts",
            "Times that the model's process died and was started again.",
            model.get("restarts", 0),
        ),
        ("worker_restarts", "Front workers that ended and were replaced.", state.worker_restarts),
    ):
        yield CounterMetricFamily(f"hotserve_{name}", text, value=value)
    yield InfoMetricFamily("hotserve_build", "This hotserve.", value={"version": __version__})


def _of_training(version: str, expected: Mapping[str, Any]) -> Iterable[Metric]:
    texts = "of texts that the model was not trained on, when it was made"
    for name, text in (
        ("unknown_terms", "Share of words that it did not know"),
        ("top_probability", "Mean probability of its answers"),
    ):
        family = GaugeMetricFamily(
            f"hotserve_expected_{name}", f"{text}, {texts}.", labels=("version",)
        )
        family.add_metric((version,), expected[name])
        yield family
    shares = GaugeMetricFamily(
        "hotserve_expected_products",
        f"Share of each category among its answers, {texts}.",
        labels=("category", "version"),
    )
    for category, share in expected["products"].items():
        shares.add_metric((category, version), share)
    yield shares


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"hotserve_{name}", text, value=float(value))


def _counters(
    name: str, text: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], int]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family
