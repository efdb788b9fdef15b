"""What front workers count, and how the manager adds it up."""

import json
import pickle
import time
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from hotserve import __version__
from hotserve.ipc.counts import BOUNDS, FAST, NONE, PROCESS
from hotserve.manager.workers.metrics import Metrics
from hotserve.manager.workers.state_metrics import ModelState, State
from hotserve.worker.counters import Counters
from hotserve.worker.upstream.answer import categories, predictions
from tests.support.samples import Samples

SERVING = {
    "name": "produtos",
    "version": "7",
    "stage": "Production",
    "run_id": "abc",
    "aliases": ["best", "champion"],
    "since": "2026-11-23T02:25:05Z",
    "lane": {"state": "open"},
    "registry": {"reachable": True},
    "restarts": 3,
}


def state(model: dict[str, Any] = SERVING, *, ready: bool = True) -> State:
    return State({"produtos": ModelState(model, ready, switches=2, failed_starts=1, memory=0)}, 4)


def scraped(metrics: Metrics) -> Samples:
    content_type, body = metrics.text("text/plain")
    assert content_type.startswith("text/plain")
    return Samples(text_string_to_metric_families(body.decode()))


def sent(counters: Counters) -> Any:
    """A report as it arrives."""
    return pickle.loads(pickle.dumps(counters.take()))


def test_two_workers_give_the_sum() -> None:
    metrics = Metrics(state)
    for worker in (11, 12):
        counters = Counters()
        lane = counters.lane("7", ["livro", "game"])
        counters.begun = 5
        for seconds in (0.00001, 0.0002):
            counters.request(200, FAST, "7", seconds)
        lane.add([0])
        lane.add([0, 1, 1])
        counters.request(200, PROCESS, "7", 0.02, "ana")
        counters.products("7", ["livro", "brinquedo"])
        counters.request(503, NONE, "", 30.5)
        counters.other("/ping", 200)
        metrics.add(worker, {"produtos": sent(counters)})
    found = scraped(metrics)
    requests = "hotserve_requests_total"
    assert found.value(requests, code="200", lane="fast", version="7") == 4
    assert found.value(requests, code="200", lane="process", version="7") == 2
    assert found.value(requests, code="503", lane="none", version="") == 2
    products = {c: found.value("hotserve_products_total", category=c) for c in ("livro", "game")}
    assert products == {"livro": 6, "game": 4}
    assert found.value("hotserve_products_total", category="brinquedo", version="7") == 2
    assert found.value("hotserve_other_requests_total", path="/ping", code="200") == 2
    assert found.value("hotserve_client_requests_total", client="ana") == 2
    # Five begun and four ended, in each worker.
    assert found.value("hotserve_requests_in_flight") == 2
    metrics.gone(11)
    assert scraped(metrics).value("hotserve_requests_in_flight") == 1


def test_requests_that_went_together() -> None:
    metrics = Metrics(lambda: state({**SERVING, "batching": {"state": "open"}}))
    for worker in (11, 12):
        counters = Counters()
        for requests, rows in ((2, 2), (7, 20), (7, 7), (100, 128)):
            counters.batch("7", requests, rows)
        counters.failed_batch("7")
        metrics.add(worker, {"produtos": sent(counters)})
    found = scraped(metrics)
    name = "hotserve_batch_requests"
    assert found.value("hotserve_batching_open") == 1
    assert found.value(f"{name}_count", version="7") == 8
    assert found.value(f"{name}_sum", version="7") == 2 * 116
    by_bound = {
        bound: found.value(f"{name}_bucket", version="7", le=bound)
        for bound in ("2.0", "4.0", "8.0", "64.0", "128.0", "+Inf")
    }
    assert by_bound == {"2.0": 2, "4.0": 2, "8.0": 6, "64.0": 6, "128.0": 8, "+Inf": 8}
    assert found.value("hotserve_batch_rows_total", version="7") == 2 * 157
    assert found.value("hotserve_failed_batches_total", version="7") == 2
    assert scraped(Metrics(state)).value("hotserve_batching_open") == 0


def test_a_process_that_sleeps() -> None:
    asleep = {"state": "asleep", "since": "2026-11-25T11:00:00Z", "wakes": 3}
    found = scraped(Metrics(lambda: state({**SERVING, "process": asleep})))
    assert found.value("hotserve_process_asleep") == 1
    assert found.value("hotserve_process_wakes_total") == 3
    found = scraped(Metrics(lambda: state({**SERVING, "process": {**asleep, "state": "running"}})))
    assert found.value("hotserve_process_asleep") == 0
    for name in ("hotserve_process_asleep", "hotserve_process_wakes_total"):
        assert scraped(Metrics(state)).value(name) == 0


EXPECTED = {
    "unknown_terms": 0.02,
    "top_probability": 0.9,
    "products": {"livro": 0.75, "game": 0.25},
}


def test_what_a_version_knows_of_its_texts_stands_beside_what_its_trainer_saw() -> None:
    metrics = Metrics(lambda: state({**SERVING, "expected": EXPECTED}))
    for worker in (11, 12):
        counters = Counters()
        lane = counters.lane("7", ["livro", "game"])
        lane.add_sample(5, 4, 0.75)
        counters.lane("8", ["livro"]).add_sample(1, 1, None)
        metrics.add(worker, {"produtos": sent(counters)})
    found = scraped(metrics)
    assert found.value("hotserve_terms_total", known="true", version="7") == 8
    assert found.value("hotserve_terms_total", known="false", version="7") == 2
    assert found.value("hotserve_top_probability_sum", version="7") == 1.5
    assert found.value("hotserve_top_probability_count", version="7") == 2
    # A model without probabilities has no mean of them.
    assert found.value("hotserve_terms_total", known="true", version="8") == 2
    assert found.named("hotserve_top_probability_count", version="8") == []
    assert found.value("hotserve_expected_unknown_terms", version="7") == 0.02
    assert found.value("hotserve_expected_top_probability", version="7") == 0.9
    assert found.value("hotserve_expected_products", version="7", category="game") == 0.25
    assert scraped(Metrics(state)).named("hotserve_expected_products") == []


def test_what_a_version_was_sent_is_told_in_the_figures_of_its_trainer() -> None:
    metrics = Metrics(state)
    counters = Counters()
    assert metrics.seen("produtos", "7") is None
    counters.products("7", ["livro", "livro", "livro", "game"])
    metrics.add(11, {"produtos": sent(counters)})
    products = {"livro": 0.75, "game": 0.25}
    # The model's process has answered.
    shown: dict[str, object] = {
        "unknown_terms": None,
        "top_probability": None,
        "products": products,
    }
    assert metrics.seen("produtos", "7") == shown
    counters.lane("7", ["livro", "game"]).add_sample(3, 2, 0.8)
    metrics.add(11, {"produtos": sent(counters)})
    shown = {"unknown_terms": 0.333, "top_probability": 0.8, "products": products}
    assert metrics.seen("produtos", "7") == shown
    assert metrics.seen("produtos", "8") is None


def test_a_report_tells_only_what_is_new() -> None:
    counters = Counters()
    counters.request(200, PROCESS, "1", 0.1)
    counters.begun += 1
    assert "requests" in sent(counters)
    assert sent(counters) == {"in_flight": 0}


def test_the_histogram_counts_a_request_in_every_bucket_from_its_own_on() -> None:
    counters = Counters()
    counters.request(200, FAST, "1", BOUNDS[3])
    counters.request(200, PROCESS, "1", 0.03)
    counters.request(504, PROCESS, "1", 62.0)
    metrics = Metrics(state)
    metrics.add(1, {"produtos": sent(counters)})
    found = scraped(metrics)
    name = "hotserve_request_duration_seconds"
    assert found.value(f"{name}_bucket", lane="fast", le=str(BOUNDS[3])) == 1
    assert found.value(f"{name}_bucket", lane="fast", le=str(BOUNDS[2])) == 0
    by_bound = {
        bound: found.value(f"{name}_bucket", lane="process", le=bound)
        for bound in ("0.025", "0.05", "60.0", "+Inf")
    }
    assert by_bound == {"0.025": 0, "0.05": 1, "60.0": 1, "+Inf": 2}
    assert found.value(f"{name}_count", lane="process") == 2
    assert found.value(f"{name}_sum", lane="process") == 62.03


def test_the_state_of_service() -> None:
    found = scraped(Metrics(state))
    for name, value in {
        "ready": 1,
        "lane_open": 1,
        "registry_reachable": 1,
        "switches_total": 2,
        "failed_starts_total": 1,
        "process_restarts_total": 3,
        "worker_restarts_total": 4,
    }.items():
        assert found.value(f"hotserve_{name}") == value, name
    labels = {"name": "produtos", "version": "7", "stage": "Production", "run_id": "abc"}
    labels["aliases"] = "best,champion"
    assert found.value("hotserve_model_info", **labels) == 1
    assert found.value("hotserve_build_info", version=__version__) == 1
    assert 0 < found.value("process_start_time_seconds") <= time.time()


def test_nothing_is_served_and_no_registry_followed() -> None:
    nothing = {"since": None, "lane": None, "registry": None, "restarts": 0, "version": None}
    found = scraped(Metrics(lambda: state(nothing, ready=False)))
    assert found.value("hotserve_ready") == 0
    assert found.value("hotserve_lane_open") == 0
    assert not found.named("hotserve_registry_reachable")
    assert not found.named("hotserve_model_info")


def test_a_model_that_answers_any_text_makes_no_endless_series() -> None:
    counters = Counters()
    metrics = Metrics(state)
    for start in range(0, 5000, 500):
        counters.products("1", [f"text {number}" for number in range(start, start + 500)])
        metrics.add(1, {"produtos": sent(counters)})
    counters.products("1", [f"one report {number}" for number in range(5000)])
    counters.products("1", ["x" * 100_000])
    report = sent(counters)
    assert len(report["products"]) < 2000
    metrics.add(1, {"produtos": report})
    found = scraped(metrics).named("hotserve_products_total")
    assert len(found) == 101
    assert sum(sample.value for sample in found) == 10_001


def test_a_category_that_is_no_valid_text_spoils_nothing() -> None:
    metrics = Metrics(state)
    counters = Counters()
    counters.products("1", ["\ud800", 'a "quoted"\nline', "açaí"])
    metrics.add(1, {"produtos": sent(counters)})
    named = scraped(metrics).named("hotserve_products_total")
    assert {s.labels["category"] for s in named} == {"?", 'a "quoted"\nline', "açaí"}


def test_openmetrics_for_who_asks_for_it() -> None:
    metrics = Metrics(state)
    content_type, body = metrics.text("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    parsed = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]
    assert Samples(parsed).value("hotserve_ready") == 1


def test_what_the_process_answers_is_counted_by_category() -> None:
    def of(answer: object) -> list[str]:
        return categories(predictions(json.dumps(answer).encode()) or [])

    assert of({"predictions": ["livro", "game"]}) == ["livro", "game"]
    assert of(["livro"]) == ["livro"]
    assert of({"predictions": [{"categoria": "livro", "probabilidades": {}}]}) == ["livro"]
    for other in ({"predictions": [1.5, None]}, {"predictions": {"a": 1}}, "livro", 3, {}, [[1]]):
        assert of(other) == []
    assert predictions(b"no JSON") is None
    assert predictions(b"[" * 100_000) is None


def test_many_models_have_series_of_their_own() -> None:
    models = {
        name: ModelState({**SERVING, "name": name}, ready, 1, 0, memory=300 * ready)
        for name, ready in (("a", True), ("b", False))
    }
    told = {"registry": {"reachable": False}}
    metrics = Metrics(lambda: State(models, 4, told))
    for worker in (11, 12):
        counters = Counters()
        counters.request(200, FAST, "7", 0.02)
        counters.other("/ping", 200)
        root = Counters()
        root.other("/models", 200)
        metrics.add(worker, {"a": sent(counters), "": sent(root), "gone": sent(Counters())})
    found = scraped(metrics)
    requests = "hotserve_requests_total"
    assert found.value(requests, model="a", code="200", lane="fast", version="7") == 2
    assert found.named(requests, model="b") == []
    assert found.value("hotserve_other_requests_total", model="a", path="/ping") == 2
    assert found.value("hotserve_other_requests_total", model="", path="/models") == 2
    assert [found.value("hotserve_ready", model=name) for name in ("a", "b")] == [1, 0]
    memory = "hotserve_process_memory_bytes"
    assert [found.value(memory, model=name) for name in ("a", "b")] == [300, 0]
    assert found.value("hotserve_model_info", model="b", name="b", version="7") == 1
    durations = "hotserve_request_duration_seconds_count"
    assert found.value(durations, model="a", lane="fast") == 2
    assert len(found.named(durations)) == 1
    assert found.value("hotserve_registry_reachable") == 0
    assert found.value("hotserve_worker_restarts_total") == 4
    # A model that goes takes its series with it.
    del models["a"]
    assert scraped(metrics).named(requests) == []
