"""docs/monitoring.md: everything is asked, and somebody is told."""

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from dashboards import DASHBOARDS
from tests.compose.conftest import base_images
from tests.compose.stack import ROOT, SERVERS, Stack, docker, traffic, wait_until

PARTS = ("prometheus", "alertmanager", "mysqld-exporter", "node-exporter", "blackbox-exporter")


@dataclass
class Webhook:
    """A server that keeps the messages that it gets."""

    server: ThreadingHTTPServer
    messages: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)

    def wait_for(self, alert: str, status: str) -> dict[str, Any]:
        """The first message from now on about an alert of that name."""

        def told() -> dict[str, Any] | None:
            message = self.messages.get(timeout=300)
            name = message["groupLabels"]["alertname"]
            return message if (name, message["status"]) == (alert, status) else None

        return dict(wait_until(told, f"a message that {alert} is {status}"))


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.messages.put(json.loads(body))
            self.send_response(200)
            self.end_headers()

    # Containers reach this machine at the address of the engine's bridge.
    hook = Webhook(ThreadingHTTPServer((_this_machine(), 0), Handler))
    threading.Thread(target=hook.server.serve_forever, daemon=True).start()
    yield hook
    hook.server.shutdown()


def _this_machine() -> str:
    return docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")


@pytest.fixture(scope="module")
def watched(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    webhook: Webhook,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """A stack with the overlay, Grafana left out where it can't be had."""
    one = new_stack(
        ROOT / "compose.monitoring.yml",
        ALERT_WEBHOOK_URL=f"http://{_this_machine()}:{webhook.server.server_port}/",
    )
    images = base_images(tmp_path_factory.mktemp("images") / "offline.env", "monitoring")
    one.env_files = images.env_files
    one.compose("up", "--detach")
    one.wait_trained()
    one.wait_healthy()
    yield one
    one.forget()


def prometheus(stack: Stack, path: str, **parameters: str) -> Any:
    """The data of an answer of Prometheus' API."""
    url = f"http://127.0.0.1:{stack.settings['PROMETHEUS_PORT']}/api/v1/{path}"
    answer = requests.get(url, parameters, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def value(stack: Stack, query: str) -> float | None:
    """The one value of a query, if there is one."""
    result = prometheus(stack, "query", query=query)["result"]
    return float(result[0]["value"][1]) if result else None


@pytest.mark.timeout(900)
def test_everything_is_asked_and_answers(watched: Stack) -> None:
    def all_up() -> bool:
        targets = prometheus(watched, "targets")["activeTargets"]
        return {t["health"] for t in targets} == {"up"}

    wait_until(all_up, "every target to be up")
    wait_until(lambda: value(watched, "mysql_up") == 1, "MySQL to let the exporter in")
    wait_until(lambda: value(watched, "min(probe_success)") == 1, "MLflow and S3 to answer")
    wait_until(lambda: value(watched, "hotserve_ready") == 1, "the API to be ready")
    assert value(watched, 'node_filesystem_avail_bytes{mountpoint="/"}')
    assert value(watched, "sum(minio_s3_requests_total)") is not None


def test_it_is_as_closed_as_the_rest_and_stays_small(watched: Stack) -> None:
    used = 0
    for service in (*SERVERS, *PARTS):
        details = json.loads(docker("inspect", watched.container(service)))[0]
        host = details["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["Memory"], service
        assert details["Config"]["User"] not in ("", "0", "root"), service
        for ports in host["PortBindings"].values():
            assert [port["HostIp"] for port in ports] == ["127.0.0.1"], service
        used += memory_of(details["Id"])
        if service in PARTS:
            shown = docker("top", details["Id"], "-eo", "pid,args")
            assert watched.setting("MYSQL_PASSWORD") not in shown
    assert used < 2 << 30


def memory_of(container: str) -> int:
    """Bytes that a container uses now."""
    usage = docker("stats", "--no-stream", "--format", "{{json .}}", container)
    text = json.loads(usage)["MemUsage"].split(" / ")[0]
    units = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "kB": 1000, "B": 1}
    unit = next(unit for unit in units if text.endswith(unit))
    return int(float(text.removesuffix(unit)) * units[unit])


@pytest.mark.timeout(900)
def test_people_are_told_when_s3_stops_and_when_it_is_back(
    watched: Stack, webhook: Webhook
) -> None:
    watched.compose("stop", "s3")
    (told,) = webhook.wait_for("S3Down", "firing")["alerts"]
    assert told["annotations"]["runbook"] == "docs/monitoring.md#s3down"
    watched.compose("start", "s3")
    webhook.wait_for("S3Down", "resolved")


@pytest.mark.timeout(900)
def test_a_test_alert_goes_the_same_way(watched: Stack, webhook: Webhook) -> None:
    alarm = ("exec", "-T", "alertmanager", "/etc/monitoring/alarm.sh")
    assert "docker compose " + " ".join(alarm) in (ROOT / "Makefile").read_text("utf-8")
    assert "the webhook" in watched.compose(*alarm)
    (told,) = webhook.wait_for("TestAlert", "firing")["alerts"]
    assert told["annotations"]["summary"] == "A test: nothing is wrong"


@pytest.mark.timeout(900)
def test_a_failed_backup_is_told(watched: Stack, webhook: Webhook) -> None:
    assert value(watched, "backup_last_run_success") is None
    metrics = "backup_last_run_success 0\nbackup_last_success_timestamp_seconds 1\n"
    image = watched.setting("PYTHON_IMAGE")
    subprocess.run(
        [
            *("docker", "run", "--rm", "-i"),
            *("-v", f"{watched.project}_backup_metrics:/metrics", image),
            *("sh", "-c", "cat > /metrics/backup.prom && chmod 644 /metrics/backup.prom"),
        ],
        input=metrics.encode(),
        check=True,
        capture_output=True,
    )
    webhook.wait_for("BackupFailed", "firing")


@pytest.mark.timeout(900)
def test_every_panel_of_every_dashboard_has_data(watched: Stack) -> None:
    queries = {
        query
        for panels in DASHBOARDS.values()
        for panel in panels
        for query in panel.queries.values()
        # Without the team's overlay there is no TLS.
        if "probe_ssl" not in query
    }
    with traffic(watched):
        for query in sorted(queries):
            wait_until(partial(has_data, watched, query), f"data for {query}")


def has_data(stack: Stack, query: str) -> bool:
    """Whether a query has a result, and a number in each."""
    found = prometheus(stack, "query", query=query)["result"]
    return bool(found) and all(one["value"][1] != "NaN" for one in found)


def test_nobody_to_tell_is_an_error_of_the_test_alert(watched: Stack) -> None:
    done = watched.try_compose(
        *("exec", "-T", "-e", "ALERT_WEBHOOK_URL=", "alertmanager", "/etc/monitoring/alarm.sh")
    )
    assert done.returncode == 2
    assert "nobody is told of alerts" in done.stderr
