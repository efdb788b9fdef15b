"""The Caddyfile of a team's stack, as Caddy understands it, for each kind of certificate."""

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from hotserve.config.options import options_of
from hotserve.config.settings import Settings
from tests.e2e.conftest import free_port
from tests.support.commands import ROOT, completed
from tests.support.threads import Quiet, serving

CADDYFILE = ROOT / "deploy" / "team" / "Caddyfile"
MONITORING = CADDYFILE.parents[1] / "monitoring" / "monitoring.caddy"
CADDY = Path(sys.executable).with_name("caddy")


def adapted(tls: str, host: str = "mlflow.example.org", file: Path = CADDYFILE) -> dict[str, Any]:
    """The configuration as Caddy's JSON."""
    done = completed(
        [CADDY, "adapt", "--config", file],
        env=os.environ | {"PUBLIC_HOST": host, "TLS": tls},
        check=True,
    )
    apps: dict[str, Any] = json.loads(done.stdout)["apps"]
    return apps


@pytest.mark.parametrize(
    ("tls", "says"),
    [
        ("internal", {"module": "internal"}),
        ("ana@example.org", {"module": "acme", "email": "ana@example.org"}),
    ],
)
def test_a_certificate_is_issued_by_whom_the_setting_names(tls: str, says: dict[str, str]) -> None:
    (policy,) = adapted(tls)["tls"]["automation"]["policies"]
    assert policy["subjects"] == ["mlflow.example.org"]
    assert says in policy["issuers"]


def test_a_certificate_of_one_s_own_is_read_from_its_files() -> None:
    (pair,) = adapted("/certificates/cert.pem /certificates/key.pem")["tls"]["certificates"][
        "load_files"
    ]
    assert (pair["certificate"], pair["key"]) == ("/certificates/cert.pem", "/certificates/key.pem")


def test_no_other_port_is_opened() -> None:
    servers = adapted("internal")["http"]["servers"].values()
    assert sorted(port for one in servers for port in one["listen"]) == [":5000", ":8080"]


POLICY = "default-src 'none'"


class Upstream(Quiet):
    """Says how large a body was; of itself, like the API's page, what it may do."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = len(self.rfile.read(int(self.headers["Content-Length"] or 0)))
        body = b"%d" % size
        # As MLflow does, whose paths are no websockets.
        self.send_response(
            403 if "mlflow/webhooks" in self.path and self.headers["Upgrade"] else 200
        )
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.path == "/page":
            self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST


class UpstreamServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Nothing: of a request that is too large, Caddy ends the connection."""


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Caddy in front of an upstream; the addresses there, by the ports of the containers."""
    ports = {port: free_port() for port in ("5000", "8080", "9093", "3000", "9090")}
    both = folder / "Caddyfile"
    text = CADDYFILE.read_text("utf-8").replace("/etc/caddy/sites/*.caddy", str(MONITORING))
    both.write_text(text, encoding="utf-8")
    with serving(UpstreamServer(("127.0.0.1", 0), Upstream)) as upstream:
        apps = json.dumps(adapted("internal", "localhost", both))
        for inside, port in ports.items():
            apps = apps.replace(f'":{inside}"', f'"127.0.0.1:{port}"')
            apps = re.sub(rf'"[a-z-]+:{inside}"', f'"127.0.0.1:{upstream}"', apps)
        config = {
            "admin": {"disabled": True},
            "storage": {"module": "file_system", "root": str(folder / "data")},
            "apps": json.loads(apps),
        }
        file = folder / "caddy.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        log = folder / "caddy.log"
        with log.open("wb") as output:
            process = subprocess.Popen([CADDY, "run", "--config", file], stderr=output)
        try:
            urls = {inside: f"https://localhost:{port}" for inside, port in ports.items()}
            while True:
                assert process.poll() is None, log.read_text("utf-8")
                with suppress(requests.ConnectionError):
                    for url in urls.values():
                        requests.get(url, verify=trusted(folder), timeout=60)
                    break
            yield urls
        finally:
            process.terminate()
            process.wait()


def trusted(folder: Path) -> str | bool:
    """The certificate of Caddy's own authority, once that is there."""
    file = folder / "data" / "pki" / "authorities" / "local" / "root.crt"
    return str(file) if file.exists() else True


@dataclass
class Door:
    """What asks, and the addresses by the ports of the containers."""

    session: requests.Session
    urls: dict[str, str]

    def ask(self, method: str, port: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.urls[port] + path, timeout=60, **options)


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("caddy")
    with running(folder) as urls, requests.Session() as session:
        session.trust_env = False
        session.verify = trusted(folder)
        yield Door(session, urls)


def test_a_page_that_says_what_it_may_do_is_not_let_do_more(caddy: Door) -> None:
    policies = [
        caddy.ask("GET", *where).headers["Content-Security-Policy"]
        for where in (("8080", "/page"), ("5000", "/"))
    ]
    assert policies == [POLICY, "frame-ancestors 'self'"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_what_nothing_in_the_stack_uses_does_not_reach_mlflow(caddy: Door, method: str) -> None:
    for path in ("/signup", "/metrics", "/ajax-api/3.0/mlflow/assistant/config"):
        assert caddy.ask(method, "5000", path).status_code == 404, path


FILE = "/api/2.0/mlflow-artifacts/artifacts/1/modelo.bin"
LARGEST = 16_000_000


@pytest.mark.parametrize(
    ("method", "path", "size", "code"),
    [
        ("PUT", FILE, LARGEST + 1, 200),
        ("PUT", f"/ajax-{FILE[1:]}", LARGEST + 1, 200),
        ("PUT", "/%61pi/2.0/mlflow-artifacts/artifacts/1/modelo.bin", LARGEST + 1, 200),
        ("POST", "/api/2.0/mlflow/runs/create", LARGEST, 200),
        ("POST", "/api/2.0/mlflow/runs/create", LARGEST + 1, 413),
        # What MLflow takes for another path than a file's.
        ("POST", FILE, LARGEST + 1, 413),
        ("PUT", f"/{FILE}", LARGEST + 1, 413),
        ("PUT", f"/x/..{FILE}", LARGEST + 1, 413),
        ("PUT", FILE.replace("api", "API"), LARGEST + 1, 413),
    ],
)
def test_only_a_file_of_a_run_may_be_large(
    caddy: Door, method: str, path: str, size: int, code: int
) -> None:
    session, mlflow = caddy.session, caddy.urls["5000"]
    prepared = session.prepare_request(requests.Request(method, mlflow, data=bytes(size)))
    prepared.url = mlflow + path
    answer = session.send(prepared, timeout=60, verify=session.verify)
    assert answer.status_code == code
    if code == 200:
        assert int(answer.text) == size


def test_an_admin_s_request_gets_through_whole(caddy: Door) -> None:
    silence = caddy.ask("POST", "9093", "/api/v2/silences", data=b"silence")
    assert (silence.status_code, silence.text) == (200, "7")
    websocket = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert caddy.ask("GET", "3000", "/api/live/ws", headers=websocket).ok


def test_an_idle_connection_is_ended_here_before_it_is_there() -> None:
    servers = adapted("internal")["http"]["servers"].values()
    proxies = [one for one in _handlers([*servers]) if one["handler"] == "reverse_proxy"]
    mlflow = inspect.signature(uvicorn.Config).parameters["timeout_keep_alive"].default
    api = {one.name: one.default for one in options_of(Settings)}["idle_timeout"]
    closed_after = {"mlflow:5000": mlflow, "classificador-produtos:8080": float(api)}
    kept = [
        (proxy["upstreams"][0]["dial"], proxy["transport"]["keep_alive"]["idle_timeout"] / 1e9)
        for proxy in proxies
    ]
    assert {name for name, _ in kept} == set(closed_after)
    assert all(seconds < closed_after[name] for name, seconds in kept)


def _handlers(value: Any) -> Iterator[dict[str, Any]]:
    """All of a configuration's handlers, those inside others too."""
    if isinstance(value, dict):
        if "handler" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _handlers(one)
