"""docs/monitoring.md: everything is asked, somebody is told, and a team's admins see the pages.

One stack with all overlays: what holds behind Caddy holds without it.
"""

import json
import math
import os
import queue
import re
import shutil
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
import yaml

from dashboards import DASHBOARDS
from tests.compose.conftest import base_images
from tests.compose.stack import SERVERS, Stack, docker, this_machine, wait_until
from tests.support.commands import ROOT, completed

OVERLAYS = ("compose.team.yml", "compose.monitoring.yml", "compose.team-monitoring.yml")
PARTS = ("prometheus", "alertmanager", "mysqld-exporter", "node-exporter", "blackbox-exporter")
PAGES = {"prometheus": "PROMETHEUS_PORT", "alertmanager": "ALERTMANAGER_PORT"}
ALARM = ("exec", "-T", "alertmanager", "/etc/monitoring/alarm.sh")


@dataclass
class Webhook:
    """A server that keeps what it is told: the names of alerts, each with its status."""

    server: ThreadingHTTPServer
    messages: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)

    def wait_for(self, alerts: set[str], status: str) -> list[dict[str, Any]]:
        """The first message about each of the alerts, in the order of their names."""
        found: dict[str, dict[str, Any]] = {}
        while found.keys() != alerts:
            message = self.messages.get(timeout=600)
            name = message["groupLabels"]["alertname"]
            if name in alerts and message["status"] == status:
                found.setdefault(name, message)
        return [found[name] for name in sorted(alerts)]


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.messages.put(json.loads(body))
            self.send_response(200)
            self.end_headers()

    # Containers reach this machine at the address of the engine's bridge.
    hook = Webhook(ThreadingHTTPServer((this_machine(), 0), Handler))
    threading.Thread(target=hook.server.serve_forever, daemon=True).start()
    yield hook
    hook.server.shutdown()


@pytest.fixture(scope="module")
def watched(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    webhook: Webhook,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """The overlays, with secrets by `make team`; Grafana left out where it can't be had."""
    folder = tmp_path_factory.mktemp("team")
    env = folder / ".env"
    shutil.copy(ROOT / ".env", env)
    one = new_stack(
        *(ROOT / name for name in OVERLAYS),
        ALERT_WEBHOOK_URL=f"http://{this_machine()}:{webhook.server.server_port}/",
    )
    # Whoever keeps a stack of their own on this machine has data, which new passwords would lock.
    here = {"PUBLIC_HOST": "localhost", "COMPOSE_PROJECT_NAME": one.project}
    done = completed([ROOT / "deploy" / "make-team.sh", env], env=os.environ | here)
    assert done.returncode == 0, done.stderr
    _, *offline = base_images(folder / "offline.env", "monitoring").env_files
    one.env_files = (env, *offline)
    one.compose("up", "--detach", timeout=900)
    wait_until(lambda: values(one, "hotserve_ready") == [1.0], "the API to serve", 900)
    yield one
    one.forget()


def ask(stack: Stack, method: str, port: str, path: str, **request: Any) -> requests.Response:
    """What somebody would get who knows our certificates' authority."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        url = f"https://localhost:{stack.settings[port]}{path}"
        return requests.request(method, url, verify=False, timeout=60, **request)


def admin(stack: Stack) -> tuple[str, str]:
    return "admin", stack.setting("MLFLOW_ADMIN_PASSWORD")


def values(stack: Stack, query: str) -> list[float]:
    """The values that a query has now."""
    answer = ask(
        *(stack, "GET", "PROMETHEUS_PORT", "/api/v1/query"),
        auth=admin(stack),
        params={"query": query},
    )
    assert answer.status_code == 200, answer.text
    return [float(one["value"][1]) for one in answer.json()["data"]["result"]]


@pytest.mark.timeout(1800)
def test_everything_is_asked_and_answers(watched: Stack) -> None:
    wait_until(lambda: set(values(watched, "up")) == {1.0}, "every target to be up")
    wait_until(lambda: values(watched, "mysql_up") == [1.0], "MySQL to let the exporter in")
    wait_until(lambda: values(watched, "probe_success") == [1.0] * 3, "MLflow, S3 and Caddy")
    assert values(watched, 'node_filesystem_avail_bytes{mountpoint="/"}')


def test_it_is_as_closed_as_the_rest_and_stays_small(watched: Stack) -> None:
    used = 0
    for service in (*SERVERS, "caddy", *PARTS):
        details = json.loads(docker("inspect", watched.container(service)))[0]
        host = details["HostConfig"]
        # Compose could not write their passwords' files into the others.
        assert host["ReadonlyRootfs"] == (service not in ("s3", "db")), service
        assert host["CapDrop"] == ["ALL"], service
        assert host["Memory"], service
        assert details["Config"]["User"] not in ("", "0", "root"), service
        assert bool(host["PortBindings"]) == (service == "caddy"), service
        usage = docker("stats", "--no-stream", "--format", "{{json .}}", details["Id"])
        used += _bytes(json.loads(usage)["MemUsage"].split(" / ")[0])
        if service in PARTS:
            shown = docker("top", details["Id"], "-eo", "pid,args")
            assert watched.setting("MYSQL_PASSWORD") not in shown
    assert used < 2 << 30


def _bytes(text: str) -> int:
    units = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "kB": 1000, "B": 1}
    unit = next(unit for unit in units if text.endswith(unit))
    return int(float(text.removesuffix(unit)) * units[unit])


@pytest.mark.timeout(600)
def test_a_model_s_code_can_not_tell_or_ask_others(watched: Stack) -> None:
    ports = {"prometheus": 9090, "alertmanager": 9093, "blackbox-exporter": 9115}
    ports |= {"node-exporter": 9100, "mysqld-exporter": 9104}
    targets = {
        f"{address}:{port}": service
        for service, port in ports.items()
        for address in watched.addresses(service).values()
    }
    tries = "; ".join(f"/app/wait-for-it.sh -q -t 1 {one} && echo {one}" for one in targets)
    api = ("exec", "-T", "classificador-produtos", "bash", "-c", f"{tries}; true")
    reached = {targets[one] for one in watched.compose(*api).split()}
    # Which asks it, and takes nothing.
    assert reached == {"prometheus"}


@pytest.mark.timeout(600)
def test_only_admins_see_the_pages(watched: Stack) -> None:
    added = watched.compose(
        *("run", "--rm", "--no-deps", "-T", "accounts"),
        *("python", "-m", "server.accounts", "add", "ana", "promoter"),
    )
    ana = ("ana", added.split()[-1])
    for service, port in PAGES.items():
        for path in ("/", "/metrics", "/-/healthy"):
            answers = {
                user: ask(watched, "GET", port, path, auth=user).status_code
                for user in (None, ("admin", "wrong"), ana, admin(watched))
            }
            assert [*answers.values()] == [401, 401, 403, 200], (service, path)


@pytest.mark.timeout(1200)
def test_every_panel_of_every_dashboard_has_data(watched: Stack) -> None:
    _report_backup(watched, succeeded=True)
    queries = [
        query
        for panels in DASHBOARDS.values()
        for panel in panels
        for query in panel.queries.values()
    ]
    for query in queries:
        wait_until(partial(_has_data, watched, query), f"data for {query}")


@pytest.mark.timeout(1200)
def test_every_rule_is_fed(watched: Stack) -> None:
    _report_backup(watched, succeeded=True)
    rules = (ROOT / "deploy" / "monitoring" / "rules.yml").read_text("utf-8")
    groups = yaml.safe_load(rules)["groups"]
    queries = " ".join(rule["expr"] for group in groups for rule in group["rules"])
    # What has a bracket behind it is a function.
    metrics = set(re.findall(r"\b(?:up|[a-z]+_[a-z_]+)\b(?!\()", queries)) - {"group_left"}
    for metric in sorted(metrics):
        wait_until(partial(_has_data, watched, f"count({metric})"), f"data for {metric}")


def _has_data(stack: Stack, query: str) -> bool:
    """Whether a query has a number in its result; asks the API for something first."""
    token = {"Authorization": f"Bearer {stack.setting('HOTSERVE_TOKEN')}"}
    headers = {"Content-Type": "text/csv", **token}
    answer = ask(stack, "POST", "SERVE_PORT", "/invocations", data="boneca", headers=headers)
    assert answer.status_code == 200, answer.text
    # Of a lane that had no requests, a quantile is none.
    return any(not math.isnan(value) for value in values(stack, query))


def _report_backup(stack: Stack, *, succeeded: bool) -> None:
    """Write what the backup's service writes."""
    metrics = (
        f"backup_last_run_success {int(succeeded)}\nbackup_last_success_timestamp_seconds 1e9\n"
    )
    subprocess.run(
        [
            *("docker", "run", "--rm", "-i", "-v", f"{stack.project}_backup_metrics:/metrics"),
            stack.setting("PYTHON_IMAGE"),
            *("sh", "-c", "cat > /metrics/backup.prom && chmod 644 /metrics/backup.prom"),
        ],
        input=metrics.encode(),
        check=True,
        capture_output=True,
    )


@pytest.mark.timeout(1200)
def test_people_are_told_and_told_when_it_is_over(watched: Stack, webhook: Webhook) -> None:
    nobody = watched.try_compose("exec", "-T", "-e", "ALERT_WEBHOOK_URL=", *ALARM[2:])
    assert nobody.returncode == 2
    assert "nobody is told of alerts" in nobody.stderr

    watched.compose("stop", "s3")
    _report_backup(watched, succeeded=False)
    assert "docker compose " + " ".join(ALARM) in (ROOT / "Makefile").read_text("utf-8")
    assert "the webhook" in watched.compose(*ALARM)
    told = webhook.wait_for({"BackupFailed", "S3Down", "TestAlert"}, "firing")
    alerts = [one["alerts"][0] for one in told]
    assert [one["annotations"].get("runbook") for one in alerts] == [
        "docs/monitoring.md#backupfailed",
        "docs/monitoring.md#s3down",
        None,
    ]
    # Links lead to where an admin sees the pages.
    for link, port in (
        (told[0]["externalURL"], "alertmanager"),
        (alerts[0]["generatorURL"], "prometheus"),
    ):
        assert link.startswith(f"https://localhost:{watched.settings[PAGES[port]]}"), link
    watched.compose("start", "s3")
    webhook.wait_for({"S3Down"}, "resolved")
