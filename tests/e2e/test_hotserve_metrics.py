"""`/metrics` of a real hotserve with several workers: every request is in it, exactly once."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, constant_model, text_model
from tests.e2e.hotserve_process import CSV, PATIENCE, Hotserve, eventually, running_hotserve
from tests.support.samples import Samples

NAME = "hotserve-metrics"
REQUESTS = "hotserve_requests_total"
LONG = "halo " + "nada " * 5_000
"""Longer than the fast lane takes."""


@pytest.fixture(scope="module")
def registry(mlflow_server: MlflowServer) -> Registry:
    return Registry(mlflow_server.url)


@pytest.fixture(scope="module")
def hotserve(
    registry: Registry, mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hotserve]:
    """Three workers, version 1 of a text model, its lane open."""
    registry.register(NAME, text_model(), stage="Production")
    home, environment = tmp_path_factory.mktemp(NAME), mlflow_server.environment()
    uri, options = f"models:/{NAME}/Production", ("--workers", "3")
    with running_hotserve(uri, home, environment, options=options) as running:
        running.wait_for_version("1")
        running.wait_until_serving(lane="open")
        eventually(lambda: len(running.workers()) == 3, "there are not three workers")
        yield running


def ask_on_connections(hotserve: Hotserve, bodies: list[str], connections: int) -> Counter[str]:
    """Send every body on each of so many connections at once; the headers' lanes, counted."""

    def ask(_: int) -> Counter[str]:
        with requests.Session() as session:
            answers = [
                session.post(url, body.encode(), headers=CSV, timeout=PATIENCE) for body in bodies
            ]
        return Counter(answer.headers["X-Hotserve-Lane"] for answer in answers)

    url = f"{hotserve.url}/invocations"
    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(ask, range(connections)), Counter[str]())


def test_every_request_is_counted_once_whichever_worker_is_asked(hotserve: Hotserve) -> None:
    before = hotserve.samples()
    bodies = ["halo", "dom casmurro\nhalo\nzelda"] * 20 + [LONG]
    lanes = ask_on_connections(hotserve, bodies, connections=12)
    assert lanes == {"fast": 12 * 40, "process": 12}
    for body in (b"halo", b""):
        refused = requests.post(f"{hotserve.url}/invocations", body, timeout=PATIENCE)
        assert refused.status_code == 415
    # A connection each, so that all of the workers are asked.
    for after in [hotserve.samples() for _ in range(12)]:

        def grown(name: str, after: Samples = after, /, **labels: str) -> float:
            return after.total(name, **labels) - before.total(name, **labels)

        assert grown(REQUESTS, code="200", lane="fast", version="1") == 12 * 40
        assert grown(REQUESTS, code="200", lane="process", version="1") == 12
        assert grown(REQUESTS, code="415", lane="none", version="") == 2
        assert grown(REQUESTS) == 12 * 41 + 2
        assert grown("hotserve_request_duration_seconds_count", lane="fast") == 12 * 40
        assert grown("hotserve_request_duration_seconds_count", lane="process") == 12
        assert grown("hotserve_products_total", category="livro", version="1") == 12 * 20
        assert grown("hotserve_products_total", category="game", version="1") == 12 * 61
        assert after.value("hotserve_requests_in_flight") == 0
        assert after.value("hotserve_ready") == 1
        assert after.value("hotserve_lane_open") == 1
        assert after.value("hotserve_registry_reachable") == 1


def test_the_model_shows_what_it_was_sent(hotserve: Hotserve) -> None:
    ask_on_connections(hotserve, ["halo", "dom casmurro"], connections=1)

    def is_told() -> bool:
        seen = hotserve.get("/model").json()["seen"]
        return bool(seen and seen["unknown_terms"] is not None and seen["products"]["game"])

    eventually(is_told, "what was seen to be shown")


def test_other_paths_are_counted_apart(hotserve: Hotserve) -> None:
    before = hotserve.samples()
    for path in ("/ping", "/model", "/nowhere", "/page/page.js"):
        requests.get(hotserve.url + path, timeout=PATIENCE)
    with socket.create_connection(("127.0.0.1", int(hotserve.url.rpartition(":")[2]))) as client:
        client.sendall(b"no request\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
    after = hotserve.samples()
    name = "hotserve_other_requests_total"
    for labels in (
        {"path": "/ping", "code": "200"},
        {"path": "other", "code": "404"},
        {"path": "other", "code": "200"},
        {"path": "/metrics", "code": "200"},
        {"path": "none", "code": "400"},
    ):
        assert after.total(name, **labels) == before.total(name, **labels) + 1, labels
    assert after.total(REQUESTS) == before.total(REQUESTS)


def test_killing_a_worker_takes_nothing_back(hotserve: Hotserve) -> None:
    ask_on_connections(hotserve, ["halo"] * 10, connections=12)
    before = hotserve.samples()
    killed = hotserve.workers()[0]
    killed.kill()
    eventually(
        lambda: hotserve.samples().value("hotserve_worker_restarts_total") == 1,
        "the worker's end is not counted",
    )
    eventually(lambda: len(hotserve.workers()) == 3, "it is not replaced")
    ask_on_connections(hotserve, ["halo"] * 10, connections=6)
    assert hotserve.samples().total(REQUESTS) == before.total(REQUESTS) + 60


def test_versions_that_take_over_and_versions_that_would_not_start(
    hotserve: Hotserve, registry: Registry
) -> None:
    assert hotserve.samples().value("hotserve_switches_total") == 1
    version = registry.register(NAME, constant_model("outro"), stage="Production")
    hotserve.wait_for_version(version)
    assert hotserve.predict("halo").json()["predictions"] == ["outro"]
    found = hotserve.samples()
    assert found.value("hotserve_switches_total") == 2
    assert found.value("hotserve_failed_starts_total") == 0
    info = found.named("hotserve_model_info", name=NAME)
    assert [sample.labels["version"] for sample in info] == [version]
    # No linear model, so no lane: its own process answers.
    assert found.value("hotserve_lane_open") == 0
    assert found.value(REQUESTS, code="200", lane="process", version=version) == 1
    assert found.value("hotserve_products_total", category="outro", version=version) == 1
    # What the version before answered is still there.
    assert found.value("hotserve_products_total", category="livro", version="1") > 0

    broken = registry.register_broken(NAME)
    registry.move(NAME, broken, "Production")
    hotserve.wait_for("it does not fail", lambda m: (m["wanted"] or {}).get("state") == "failed")
    found = hotserve.samples()
    assert found.value("hotserve_failed_starts_total") >= 1
    assert found.value("hotserve_ready") == 1
    assert found.value("hotserve_switches_total") == 2
    registry.move(NAME, version, "Production")
    hotserve.wait_for_version(version)

    for process in hotserve.server_processes():
        process.kill()
    eventually(
        lambda: hotserve.samples().value("hotserve_process_restarts_total") >= 1,
        "the process's end is not counted",
    )
