"""`/metrics`: the counts of every front worker added up, and the state of service, for Prometheus.

Where many models are served, each series of a model has its name as the label `model`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from hotserve.ipc.counts import BOUNDS
from hotserve.manager.workers.model_metrics import ModelMetrics
from hotserve.manager.workers.state_metrics import Labels, State, family, of_state

_BATCH_BOUNDS = (2, 4, 8, 16, 32, 64, 128)

_COUNTERS = (
    (
        "requests",
        (
            "Requests to /invocations by status, by who answered (the fast lane, the model's "
            "process, or neither), and by version."
        ),
        ("code", "lane", "version"),
    ),
    ("products", "Products classified, by category and version.", ("category", "version")),
    ("other_requests", "Requests to every other path, by path and status.", ("path", "code")),
    (
        "client_requests",
        "Requests to /invocations by the name that their token has in the token file.",
        ("client",),
    ),
    ("batch_rows", "Rows of requests that went to the model's process together.", ("version",)),
    (
        "failed_batches",
        "Joint requests that failed, so that their parts were asked one by one.",
        ("version",),
    ),
    (
        "terms",
        "Words in some texts that the fast lane answered, by whether the model knows them.",
        ("known", "version"),
    ),
)
"""Name, what it is, labels; each is one of the `counts` of `ModelMetrics`."""


Counted = list[tuple[Labels, ModelMetrics]]
"""What was counted of each model, with the value of the label `model` where there is one."""


class Metrics(Collector):
    """Adds up the workers' reports.

    Args:
        state: asked at each scrape.
    """

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        # The reports of what is no model's have an empty name.
        self._models: dict[str, ModelMetrics] = defaultdict(ModelMetrics)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def add(self, worker: int, reports: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what a worker counted since its last report, by model."""
        for name, report in reports.items():
            self._models[name].add(worker, report)

    def gone(self, worker: int) -> None:
        """A worker ended: nothing is under way there any more."""
        for model in self._models.values():
            model.in_flight.pop(worker, None)

    def seen(self, name: str, version: str) -> dict[str, Any] | None:
        """What the requests for a version of a model gave: see `ModelMetrics.seen`."""
        return self._models[name].seen(version)

    def text(self, accept: str) -> tuple[str, bytes]:
        """A scrape's answer: content type and body, as the `Accept` header asks for."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Every metric as it is now."""
        state = self._state()
        for gone in self._models.keys() - {"", *state.models}:
            del self._models[gone]
        names = sorted(state.models)
        label: Labels = ()
        if state.all is not None:
            names, label = [*names, ""], ("model",)
        counted: Counted = [(label and (name,), self._models[name]) for name in names]
        for name, text, labels in _COUNTERS:
            samples = (
                ((*map(str, values), *value), count)
                for value, counts in counted
                for values, count in counts.counts[name].items()
            )
            yield family(CounterMetricFamily, name, text, (*labels, *label), samples)
        yield _durations(label, counted)
        yield _batch_sizes(label, counted)
        yield _top_probabilities(label, counted)
        in_flight = ((value, sum(counts.in_flight.values())) for value, counts in counted)
        text = "Requests to /invocations under way."
        yield family(GaugeMetricFamily, "requests_in_flight", text, label, in_flight)
        yield from of_state(state, label)


def _durations(label: Labels, counted: Counted) -> Metric:
    names = [*map(floatToGoString, BOUNDS), "+Inf"]
    samples = (
        ((lane, *value), [*zip(names, accumulate(buckets), strict=True)], counts.seconds[lane])
        for value, counts in counted
        for lane, buckets in counts.buckets.items()
        # Of many models those without any would be many series that say nothing.
        if any(buckets) or not label
    )
    text = "From a request's head to its whole answer, /invocations only."
    labels = ("lane", *label)
    return family(HistogramMetricFamily, "request_duration_seconds", text, labels, samples)


def _batch_sizes(label: Labels, counted: Counted) -> Metric:
    samples = []
    for value, counts in counted:
        batches = counts.counts["batches"]
        for version in sorted({version for version, _ in batches}):
            sizes = {size: n for (of, size), n in batches.items() if of == version}
            buckets: list[tuple[str, float]] = [
                (f"{bound:.1f}", sum(n for size, n in sizes.items() if size <= bound))
                for bound in _BATCH_BOUNDS
            ]
            buckets.append(("+Inf", sum(sizes.values())))
            requests = sum(size * n for size, n in sizes.items())
            samples.append(((version, *value), buckets, requests))
    text = "Requests that went to the model's process together, two or more, by joint request."
    return family(HistogramMetricFamily, "batch_requests", text, ("version", *label), samples)


def _top_probabilities(label: Labels, counted: Counted) -> Metric:
    samples = (
        ((version, *value), texts, counts.top[version])
        for value, counts in counted
        for version, texts in counts.sure.items()
        if texts
    )
    text = "Probability of the answer, for some of the texts that the fast lane answered."
    return family(SummaryMetricFamily, "top_probability", text, ("version", *label), samples)
