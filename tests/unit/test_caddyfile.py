"""The Caddyfile of a team's stack, as Caddy understands it, for each kind of certificate."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CADDYFILE = Path(__file__).parents[2] / "deploy" / "team" / "Caddyfile"
CADDY = Path(sys.executable).with_name("caddy")


def adapted(tls: str) -> dict[str, Any]:
    """The configuration as Caddy's JSON."""
    done = subprocess.run(
        [CADDY, "adapt", "--config", CADDYFILE],
        env=os.environ | {"PUBLIC_HOST": "mlflow.example.org", "TLS": tls},
        capture_output=True,
        text=True,
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
