"""What Prometheus and Alertmanager make of the settings of .env."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.commands import ROOT, completed

FOLDER = ROOT / "deploy" / "monitoring"
MAIL = {
    "ALERT_MAIL_TO": "ana@example.org,rui@example.org",
    "ALERT_MAIL_FROM": "stack@example.org",
    "SMTP_SERVER": "smtp.example.org:587",
    "SMTP_REQUIRE_TLS": "true",
}
WEBHOOK = {"ALERT_WEBHOOK_URL": "https://example.org/hook?a=1&b=$2"}


def written(template: str, folder: Path, settings: dict[str, str]) -> Path:
    """The configuration that a container would start with."""
    file = folder / template
    subprocess.run(
        [str(FOLDER / "with-settings.sh"), str(FOLDER / template), str(file), "true"],
        env={"PATH": "/usr/bin:/bin", **settings},
        check=True,
    )
    return file


def check(program: str, *arguments: str) -> None:
    """Have the server's own tool look at a configuration."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} on this machine; tests/install-tools.sh installs it on Debian")
    done = completed([program, *arguments])
    assert done.returncode == 0, done.stdout + done.stderr


def receiver(file: Path) -> dict[str, Any]:
    (only,) = yaml.safe_load(file.read_text("utf-8"))["receivers"]
    return dict(only)


@pytest.mark.parametrize("settings", [{}, MAIL, WEBHOOK, MAIL | WEBHOOK])
def test_who_is_told(tmp_path: Path, settings: dict[str, str]) -> None:
    file = written("alertmanager.yml", tmp_path, settings)
    mail, webhook = receiver(file)["email_configs"], receiver(file)["webhook_configs"]
    assert (mail or [{}])[0].get("to") == settings.get("ALERT_MAIL_TO")
    assert (webhook or [{}])[0].get("url") == settings.get("ALERT_WEBHOOK_URL")
    check("amtool", "check-config", str(file))


def test_a_password_may_hold_anything(tmp_path: Path) -> None:
    password = """it's "#1" \\n & ${HOME}: {%s}"""
    file = written("alertmanager.yml", tmp_path, MAIL | {"SMTP_PASSWORD": password})
    assert yaml.safe_load(file.read_text("utf-8"))["global"]["smtp_auth_password"] == password
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("address", ["", "https://mlflow.example.org:9093"])
def test_links_in_messages_lead_to_the_pages(tmp_path: Path, address: str) -> None:
    done = completed(
        [str(FOLDER / "with-settings.sh"), os.devnull, str(tmp_path / "empty"), "echo", "--first"],
        env={"PATH": "/usr/bin:/bin", "EXTERNAL_URL": address},
        check=True,
    )
    assert done.stdout.split() == ["--first", *[f"--web.external-url={address}"] * bool(address)]


@pytest.mark.parametrize("token", ["", "secret"])
def test_the_token_of_the_api_is_sent_where_there_is_one(tmp_path: Path, token: str) -> None:
    settings = {"S3_ENDPOINT_URL": "https://s3.example.org", "HOTSERVE_TOKEN": token}
    file = written("prometheus.yml", tmp_path, settings)
    jobs = {j["job_name"]: j for j in yaml.safe_load(file.read_text("utf-8"))["scrape_configs"]}
    assert (jobs["hotserve"]["authorization"] or {}).get("credentials", "") == token
    assert "https://s3.example.org" in str(jobs["probe"])
    assert "caddy" not in str(jobs["probe"])
    check("promtool", "check", "config", "--syntax-only", str(file))


def test_a_team_s_certificate_is_watched(tmp_path: Path) -> None:
    settings = {"S3_ENDPOINT_URL": "http://s3:9000", "PUBLIC_HOST": "mlflow.example.org"}
    file = written("prometheus.yml", tmp_path, settings)
    jobs = {j["job_name"]: j for j in yaml.safe_load(file.read_text("utf-8"))["scrape_configs"]}
    (target,) = [t for t in jobs["probe"]["static_configs"] if "caddy" in str(t)]
    assert target["labels"]["__param_hostname"] == "mlflow.example.org"
    check("promtool", "check", "config", "--syntax-only", str(file))


@pytest.mark.parametrize(
    ("mounted", "watched"),
    [
        ("/", True),
        ("/home", True),
        ("/var/lib/docker", True),
        ("/var/lib/containerd", True),
        ("/var/lib/docker/overlay2/1a2b/merged", False),
        ("/run/user/1000", False),
    ],
)
def test_a_disk_of_the_engine_s_own_is_watched(mounted: str, watched: bool) -> None:
    compose = yaml.safe_load((FOLDER.parents[1] / "compose.monitoring.yml").read_text("utf-8"))
    (left_out,) = (
        option.partition("=")[2].replace("$$", "$")
        for option in compose["services"]["node-exporter"]["command"]
        if "mount-points-exclude" in option
    )
    assert (re.search(left_out, mounted) is None) == watched
