"""A real Prometheus asks a real hotserve, and a real Alertmanager tells people what is wrong."""

import contextlib
import json
import re
import shutil
import signal
import socketserver
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.e2e.conftest import free_port
from tests.e2e.hotserve_process import eventually, running_hotserve
from tests.support.commands import ROOT
from tests.support.threads import Quiet, serving

FOLDER = ROOT / "deploy" / "monitoring"

Told = set[tuple[str, str, str]]
"""What was told by (`mail`, `webhook`), the alert's name, its state."""


class MailServer(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as one mail needs."""

    told: Told

    def handle(self) -> None:
        self._say("220 sink")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self._say("354 go on")
                self._mail(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self._say("221 bye" if verb == b"QUIT" else "250 ok")

    def _mail(self, mail: str) -> None:
        assert "ana@example.org" in mail
        found = re.search(r"^Subject: \[(\w+)\S*\] (\w+)", mail, flags=re.MULTILINE)
        assert found, mail[:2000]
        self.told.add(("mail", found[2], found[1].lower()))

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class Webhook(Quiet):
    """Takes Alertmanager's JSON."""

    told: Told

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.add(("webhook", message["groupLabels"]["alertname"], message["status"]))
        self.send_response(200)
        self.end_headers()


@contextmanager
def program(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended with the block."""
    if shutil.which(command[0]) is None:
        pytest.skip(
            f"no {command[0]} on this machine; tests/install-tools.sh installs it on Debian"
        )
    with (folder / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def settings_in(template: str, folder: Path, **settings: str) -> dict[str, Any]:
    """A configuration as a container would have it."""
    file = folder / template
    script = FOLDER / "with-settings.sh"
    environment = {"PATH": "/usr/bin:/bin", **settings}
    subprocess.run(
        [str(script), str(FOLDER / template), str(file), "true"], env=environment, check=True
    )
    return dict(yaml.safe_load(file.read_text("utf-8")))


def prometheus_files(folder: Path, hotserve: str, alertmanager: str) -> str:
    """The shipped configuration for hotserve alone, in a hurry; the file's name."""
    config = settings_in("prometheus.yml", folder, S3_ENDPOINT_URL="http://127.0.0.1:1")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = ["rules.yml"]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "hotserve"]
    config["scrape_configs"] = [{**job, "static_configs": [{"targets": [hotserve]}]}]
    rules = re.sub(r"for: \d+[mh]", "for: 0s", (FOLDER / "rules.yml").read_text("utf-8"))
    (folder / "rules.yml").write_text(rules, "utf-8")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    return "prometheus.yml"


def wait_told(told: Told, alert: str, status: str) -> None:
    """Return once a mail and the webhook have told it."""
    wanted = {(by, alert, status) for by in ("mail", "webhook")}
    eventually(lambda: wanted <= told, f"{alert} to be told as {status}")


def test_a_server_without_a_version_and_one_that_is_gone_are_told(tmp_path: Path) -> None:
    told: Told = set()
    mail = type("_Mail", (MailServer,), {"told": told})
    hook = type("_Hook", (Webhook,), {"told": told})
    with ExitStack() as stack:
        smtp = stack.enter_context(serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), mail)))
        port = stack.enter_context(serving(ThreadingHTTPServer(("127.0.0.1", 0), hook)))
        config = settings_in(
            "alertmanager.yml",
            tmp_path,
            ALERT_MAIL_TO="ana@example.org",
            ALERT_MAIL_FROM="stack@example.org",
            SMTP_SERVER=f"127.0.0.1:{smtp}",
            SMTP_REQUIRE_TLS="false",
            ALERT_WEBHOOK_URL=f"http://127.0.0.1:{port}/",
        )
        config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
        (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config), "utf-8")
        alertmanager, prometheus = (f"127.0.0.1:{free_port()}" for _ in range(2))
        stack.enter_context(
            program(
                tmp_path,
                *("prometheus-alertmanager", "--config.file=alertmanager.yml"),
                *(f"--web.listen-address={alertmanager}", "--cluster.listen-address="),
                f"--storage.path={tmp_path / 'alertmanager'}",
            )
        )
        # Nobody listens there, so no version is to be had.
        registry = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}
        uri = "models:/classificador-produtos/Production"
        hotserve = stack.enter_context(running_hotserve(uri, tmp_path / "hotserve", registry))
        address = hotserve.url.removeprefix("http://")
        stack.enter_context(
            program(
                tmp_path,
                *("prometheus", f"--web.listen-address={prometheus}"),
                f"--config.file={prometheus_files(tmp_path, address, alertmanager)}",
                f"--storage.tsdb.path={tmp_path / 'prometheus'}",
            )
        )
        wait_told(told, "NoVersionServed", "firing")
        hotserve.process.send_signal(signal.SIGTERM)
        hotserve.process.wait()
        wait_told(told, "HotserveDown", "firing")
        # It is silent, so nobody knows whether it has a version: that alert is over.
        wait_told(told, "NoVersionServed", "resolved")

        def no_rule_fails() -> bool:
            with contextlib.suppress(requests.ConnectionError):
                answer = requests.get(f"http://{prometheus}/api/v1/rules", timeout=30).json()
                rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
                return {rule["health"] for rule in rules} == {"ok"}
            return False

        eventually(no_rule_fails, "every rule to be evaluated")
