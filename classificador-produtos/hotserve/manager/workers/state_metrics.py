"""The state of service as metrics: what is served, what is open, what went wrong."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric

from hotserve import __version__

_STARTED = time.time()


@dataclass(frozen=True, slots=True)
class ModelState:
    """What the manager knows of a model at this moment.

    Attributes:
        model: the answer of `/model`.
        ready: whether a request would be answered now.
        switches: versions that took over so far.
        failed_starts: starts of a version that failed so far.
        memory: bytes of its process, where many models are served.
    """

    model: Mapping[str, Any]
    ready: bool
    switches: int
    failed_starts: int
    memory: int


@dataclass(frozen=True, slots=True)
class State:
    """What the manager knows at this moment.

    Attributes:
        models: by name.
        worker_restarts: front workers that ended and were replaced so far.
        all: what is said of all models where many are served; None where it is one.
    """

    models: Mapping[str, ModelState]
    worker_restarts: int
    all: Mapping[str, Any] | None = None


def _is_open(field: str) -> Callable[[ModelState], bool]:
    return lambda state: (state.model.get(field) or {}).get("state") == "open"


_GAUGES: tuple[tuple[str, str, Callable[[ModelState], float]], ...] = (
    ("ready", "Whether /ping answers 200.", lambda state: state.ready),
    ("lane_open", "Whether the fast lane is open.", _is_open("lane")),
    ("batching_open", "Whether requests may go together.", _is_open("batching")),
    (
        "process_asleep",
        "Whether the model's process sleeps.",
        lambda state: (state.model.get("process") or {}).get("state") == "asleep",
    ),
)
_COUNTERS: tuple[tuple[str, str, Callable[[ModelState], float]], ...] = (
    ("switches", "Versions that took over.", lambda state: state.switches),
    ("failed_starts", "Starts of a version that failed.", lambda state: state.failed_starts),
    (
        "process_restarts",
        "Times that the model's process died and was started again.",
        lambda state: state.model.get("restarts", 0),
    ),
    (
        "process_wakes",
        "Times that a request woke the model's process.",
        lambda state: (state.model.get("process") or {}).get("wakes", 0),
    ),
)


Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | SummaryMetricFamily
Labels = tuple[str, ...]
Each = list[tuple[Labels, ModelState]]
"""The models, each with the value of the label `model` where there is one."""


def family(
    kind: type[Family], name: str, text: str, labels: Labels, samples: Iterable[tuple[Any, ...]]
) -> Metric:
    """A metric of that kind; each sample is the values of its labels, then what it has for them."""
    made = kind(f"hotserve_{name}", text, labels=labels)
    for sample in samples:
        made.add_metric(*sample)
    return made


def of_state(state: State, label: Labels) -> Iterable[Metric]:
    """The metrics; `label` is `model` where each model has series of its own, else nothing."""
    each: Each = [(label and (name,), model) for name, model in sorted(state.models.items())]
    for kind, rows in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
        for name, text, value in rows:
            samples = ((model, value(known)) for model, known in each)
            yield family(kind, name, text, label, samples)
    if state.all is not None:
        memory = ((model, known.memory) for model, known in each)
        text = "Memory of the model's process, of shared pages its part; 0 while it sleeps."
        yield family(GaugeMetricFamily, "process_memory_bytes", text, label, memory)
    registries = [state.all] if state.all is not None else [known.model for _, known in each]
    for registry in filter(None, (shown.get("registry") for shown in registries)):
        yield GaugeMetricFamily(
            "hotserve_registry_reachable",
            "Whether the registry answered last.",
            value=float(registry["reachable"]),
        )
    yield from _served(each, label)
    yield from _of_training(each, label)
    yield CounterMetricFamily(
        "hotserve_worker_restarts",
        "Front workers that ended and were replaced.",
        value=state.worker_restarts,
    )
    yield GaugeMetricFamily(
        "process_start_time_seconds", "When hotserve began, in seconds since 1970.", value=_STARTED
    )
    yield InfoMetricFamily("hotserve_build", "This hotserve.", value={"version": __version__})


def _served(each: Each, label: Labels) -> Iterable[Metric]:
    names = ("name", "version", "stage", "run_id")
    served = []
    for model, known in each:
        if known.model.get("since") is not None:
            values = [str(known.model.get(name) or "") for name in names]
            served.append(([*values, ",".join(known.model["aliases"]), *model], 1))
    text, labels = "The version that is served; always 1.", (*names, "aliases", *label)
    yield family(GaugeMetricFamily, "model_info", text, labels, served)


def _of_training(each: Each, label: Labels) -> Iterable[Metric]:
    texts = "of texts that the model was not trained on, when it was made"
    trained = [
        (known.model["version"] or "", model, known.model["expected"])
        for model, known in each
        if known.model.get("expected")
    ]
    for name, text in (
        ("unknown_terms", "Share of words that it did not know"),
        ("top_probability", "Mean probability of its answers"),
    ):
        figures = (((version, *model), expected[name]) for version, model, expected in trained)
        labels = ("version", *label)
        yield family(GaugeMetricFamily, f"expected_{name}", f"{text}, {texts}.", labels, figures)
    shares = (
        ((category, version, *model), share)
        for version, model, expected in trained
        for category, share in expected["products"].items()
    )
    text = f"Share of each category among its answers, {texts}."
    labels = ("category", "version", *label)
    yield family(GaugeMetricFamily, "expected_products", text, labels, shares)
