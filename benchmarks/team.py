"""What logins and TLS cost: a team's stack beside the same without.

Median milliseconds of a call of MLflow's API, on one kept-open connection: without a login, with
one, and with one through Caddy. Requests a second of the API, through Caddy and straight. Memory at
rest of everything, the monitoring but for Grafana with it.

    make bench-team
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from benchmarks.compose import ROOT, Project
from benchmarks.load_generator import Request, drive
from benchmarks.machine import machine, write
from benchmarks.run import free_port

CALLS = 100
SECONDS = 10.0
CONNECTIONS = 8
REQUEST = Request("csv", "text/csv", (b"boneca de pano",))
OVERLAYS = ("team", "monitoring", "team-monitoring")
MONITORING_PORTS = ("PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")
SEARCH = "api/2.0/mlflow/experiments/search?max_results=10"


def team_settings(folder: Path) -> dict[str, str]:
    """Write `.env` for a team into the folder; what is in it."""
    file = folder / "settings"
    file.write_bytes((ROOT / ".env").read_bytes())
    subprocess.run(
        [str(ROOT / "deploy" / "make-team.sh"), str(file)],
        env=os.environ | {"PUBLIC_HOST": "localhost", "COMPOSE_PROJECT_NAME": "bench-none"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    # Grafana's image is on no registry of packages.
    text = file.read_text("utf-8").replace("COMPOSE_PROFILES=grafana", "COMPOSE_PROFILES=")
    file.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def address(project: Project, service: str) -> str:
    """The service's container on the network `public`."""
    container = project.compose("ps", "--quiet", service).strip()
    done = subprocess.run(["docker", "inspect", container], capture_output=True, check=True)
    networks = json.loads(done.stdout)[0]["NetworkSettings"]["Networks"]
    return str(next(one["IPAddress"] for name, one in networks.items() if "public" in name))


def session(certificate: Path, password: str = "") -> requests.Session:
    """What asks MLflow by the name that its other services use."""
    one = requests.Session()
    one.trust_env = False
    one.verify = str(certificate)
    if password:
        one.auth = ("admin", password)
    return one


def milliseconds(one: requests.Session, url: str) -> dict[str, float]:
    """The first call, for which the password is checked, and the median of the others."""
    host = {} if url.startswith("https") else {"Host": "mlflow:5000"}
    times = []
    for _ in range(CALLS + 1):
        start = time.perf_counter()
        one.get(url, headers=host, timeout=60).raise_for_status()
        times.append((time.perf_counter() - start) * 1000)
    return {"first": round(times[0], 1), "p50": round(statistics.median(times[1:]), 2)}


def _metrics(url: str, headers: dict[str, str]) -> str:
    return requests.get(f"{url}/metrics", headers=headers, timeout=60).text


def measure(project: Project, plain: Project, settings: dict[str, str], folder: Path) -> Any:
    """All figures, of a team's stack and of one without logins."""
    for one in (plain, project):
        one.compose("build", "--quiet")
    plain.compose("up", "--detach", "--wait", "mlflow")
    nobody = milliseconds(session(folder), f"http://{address(plain, 'mlflow')}:5000/{SEARCH}")
    plain.forget()
    project.compose("up", "--detach")
    root = folder / "root.crt"
    project.compose("cp", "caddy:/data/caddy/pki/authorities/local/root.crt", str(root))
    admin = session(root, settings["MLFLOW_ADMIN_PASSWORD"])
    straight = milliseconds(admin, f"http://{address(project, 'mlflow')}:5000/{SEARCH}")
    front = milliseconds(admin, f"https://localhost:{project.ports['MLFLOW_PORT']}/{SEARCH}")
    api = {
        "through_caddy": f"https://localhost:{project.ports['SERVE_PORT']}",
        "straight": f"http://{address(project, 'classificador-produtos')}:8080",
    }
    token = f"Authorization: Bearer {settings['HOTSERVE_TOKEN']}"
    name, _, value = token.partition(": ")
    while "hotserve_lane_open 1" not in _metrics(api["straight"], {name: value}):
        time.sleep(1)
    driven = {
        way: drive(f"{url}/invocations", REQUEST, CONNECTIONS, SECONDS, (token,))
        for way, url in api.items()
    }
    return {
        "mlflow_milliseconds": {
            "without_login": nobody,
            "with_login": straight,
            "with_login_through_caddy": front,
        },
        "api": driven,
        "memory_at_rest_mib": project.memory_mib(),
    }


def main() -> None:
    """Measure and write benchmarks/results/team.json."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        offline = folder / "offline.env"
        build = [str(ROOT / "deploy" / "offline-images" / "build.sh"), "monitoring"]
        built = subprocess.run(build, capture_output=True, check=True)
        offline.write_bytes(built.stdout)
        settings = team_settings(folder)
        base = [ROOT / "compose.yml", ROOT / "compose.offline.yml"]
        overlays = [ROOT / f"compose.{name}.yml" for name in OVERLAYS]
        project = Project([*base, *overlays], [folder / "settings", offline])
        project.ports |= {name: str(free_port()) for name in MONITORING_PORTS}
        plain = Project(base, [ROOT / ".env", offline])
        load = os.getloadavg()[0]
        try:
            figures = measure(project, plain, settings, folder)
        finally:
            project.forget()
            plain.forget()
        result = {
            "command": "make bench-team",
            "machine": machine("mlflow"),
            "load_average_before": round(load, 1),
            "calls": CALLS,
            "connections": CONNECTIONS,
            **figures,
        }
    print(f"written to {write('team', result).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
