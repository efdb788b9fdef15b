"""A stack of containers of a test's own: a project name, ports and volumes that nobody else has."""

import hashlib
import ipaddress
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import requests

from tests.e2e.conftest import free_port
from tests.support.commands import ROOT, completed

PORTS = (
    *("S3_PORT", "S3_CONSOLE_PORT", "MLFLOW_PORT", "SERVE_PORT"),
    *("PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT"),
)
SERVERS = ("s3", "db", "mlflow", "classificador-produtos")
JOBS = ("check_settings", "create_s3_buckets", "trainer")
MODEL = "classificador-produtos"
# Two clones on one machine don't build over each other's images.
IMAGE_TAG = f"test-{hashlib.sha256(bytes(ROOT)).hexdigest()[:8]}"


def docker(*arguments: str, check: bool = True, timeout: float = 120) -> str:
    """Run docker; its standard output without the line's end."""
    done = completed(["docker", *arguments], timeout=timeout)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def this_machine() -> str:
    """The address by which containers of the engine's own network reach this machine."""
    bridge = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]
    # An engine names it only after its first start.
    return bridge.get("Gateway") or str(next(ipaddress.ip_network(bridge["Subnet"]).hosts()))


def wait_until(
    condition: Callable[[], Any], what: str, seconds: float = 300, pause: float = 0.2
) -> Any:
    """The condition's first true value.

    Raises:
        AssertionError: `seconds` went by without one.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(pause)
    return value


@dataclass
class Stack:
    """One Compose project.

    Attributes:
        project: its name.
        env_files: what `--env-file` gets, in this order.
        files: what `-f` gets.
        settings: variables that win over the files.
    """

    project: str
    env_files: Sequence[Path]
    files: Sequence[Path]
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {name: str(free_port()) for name in PORTS}
        self.settings = {"IMAGE_TAG": IMAGE_TAG, **ports, **self.settings}

    def command_line(self) -> list[str]:
        """`docker compose` for this project, to be followed by a command of its."""
        line = ["docker", "compose", "--project-name", self.project]
        for file in self.env_files:
            line += ["--env-file", str(file)]
        for file in self.files:
            line += ["--file", str(file)]
        return line

    def environment(self) -> dict[str, str]:
        """The variables of this process with the stack's settings in place of its own."""
        own = set(variables(ROOT / ".env"))
        return {k: v for k, v in os.environ.items() if k not in own} | self.settings

    def try_compose(
        self, *arguments: str, timeout: float = 300, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`docker compose …` for this project, whatever comes of it."""
        return completed(
            [*self.command_line(), *arguments],
            cwd=ROOT,
            env=self.environment() | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            timeout=timeout,
        )

    def compose(
        self, *arguments: str, timeout: float = 300, settings: Mapping[str, str] | None = None
    ) -> str:
        """`docker compose …`, which has to succeed; its standard output."""
        done = self.try_compose(*arguments, timeout=timeout, settings=settings)
        assert done.returncode == 0, f"compose {' '.join(arguments)}:\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def logs(self, *services: str, tail: int = 40) -> str:
        """What the containers have written."""
        options = ("--no-color", "--no-log-prefix") if len(services) == 1 else ("--no-color",)
        done = self.try_compose("logs", *options, f"--tail={tail}", *services)
        return done.stdout.replace("\x1b[2K", "")

    def container(self, service: str) -> str:
        """The id of the service's container, running or not."""
        lines = self.compose("ps", "--all", "--quiet", service).split()
        assert len(lines) == 1, f"{service}: {lines}"
        return lines[0]

    def addresses(self, service: str) -> dict[str, str]:
        """Its address on each network of the stack, such as `internal` and `public`."""
        networks = json.loads(
            docker(
                "inspect", "--format", "{{json .NetworkSettings.Networks}}", self.container(service)
            )
        )
        prefix = f"{self.project}_"
        return {name.removeprefix(prefix): one["IPAddress"] for name, one in networks.items()}

    def state(self, service: str) -> dict[str, Any]:
        """The `State` that the engine reports, with `RestartCount`."""
        details: dict[str, Any] = json.loads(docker("inspect", self.container(service)))[0]
        state: dict[str, Any] = details["State"]
        return state | {"RestartCount": details["RestartCount"]}

    def wait_healthy(self, *services: str) -> None:
        """Return when all of them run and their health checks pass."""
        for service in services or SERVERS:
            wait_until(partial(self._is_healthy, service), f"{service} to be healthy")

    def _is_healthy(self, service: str) -> bool:
        return bool(self.state(service)["Health"]["Status"] == "healthy")

    def wait_trained(self) -> None:
        """Return when the trainer has ended well."""
        wait_until(lambda: self.state("trainer")["Status"] == "exited", "the trainer to end")
        assert self.state("trainer")["ExitCode"] == 0, self.logs("trainer")

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.settings['MLFLOW_PORT']}"

    @property
    def serve_url(self) -> str:
        return f"http://127.0.0.1:{self.settings['SERVE_PORT']}"

    @property
    def s3_url(self) -> str:
        return f"http://127.0.0.1:{self.settings['S3_PORT']}"

    def s3(self) -> Any:
        """A client for its S3, from outside."""
        return boto3.client(
            "s3",
            endpoint_url=self.s3_url,
            region_name=self.setting("AWS_REGION"),
            aws_access_key_id=self.setting("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=self.setting("AWS_SECRET_ACCESS_KEY"),
        )

    def setting(self, name: str) -> str:
        """A setting as Compose sees it."""
        files = [variables(file) for file in self.env_files]
        return self.settings.get(name) or next(f[name] for f in reversed(files) if name in f)

    def classify(self, text: str = "boneca de pano") -> str:
        """The category that the API gives the text, as the chapter asks for it."""
        answer = requests.post(
            f"{self.serve_url}/invocations",
            data=text.encode(),
            headers={"Content-Type": "text/csv"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["predictions"][0])

    def wait_answering(self) -> None:
        """Return at the API's first 200."""

        def answers() -> bool:
            try:
                return requests.get(f"{self.serve_url}/ping", timeout=5).status_code == 200
            except requests.RequestException:
                return False

        wait_until(answers, "the API to answer")

    def api(self, path: str, **body: Any) -> dict[str, Any]:
        """One call of MLflow's REST API: GET, or POST when there is a body."""
        url = f"{self.mlflow_url}/api/2.0/mlflow/{path}"
        if body:
            answer = requests.post(url, json=body, timeout=60)
        else:
            answer = requests.get(url, timeout=60)
        assert answer.status_code == 200, answer.text
        parsed: dict[str, Any] = answer.json()
        return parsed

    def runs(self) -> list[dict[str, Any]]:
        """All runs of all experiments."""
        experiments = self.api("experiments/search", max_results=100).get("experiments", [])
        ids = [one["experiment_id"] for one in experiments]
        found = self.api("runs/search", experiment_ids=ids, max_results=1000).get("runs", [])
        return list(found)

    def artifact(self, run_id: str, path: str) -> requests.Response:
        """A file of a run."""
        asked = {"run_id": run_id, "path": path}
        return requests.get(f"{self.mlflow_url}/get-artifact", params=asked, timeout=60)

    def versions(self) -> list[dict[str, Any]]:
        """All versions of the registered model."""
        found = self.api(f"model-versions/search?filter=name%3D'{MODEL}'")
        return list(found.get("model_versions", []))

    def sql(self, query: str) -> str:
        """What MySQL answers to the user that MLflow is."""
        return self.compose(
            *("exec", "-T", "-e", f"MYSQL_PWD={self.setting('MYSQL_PASSWORD')}", "db", "mysql"),
            *("--batch", "--skip-column-names", f"--user={self.setting('MYSQL_USER')}"),
            *(self.setting("MYSQL_DATABASE"), "--execute", query),
        ).strip()

    def refused_logins(self) -> int:
        """How often MySQL has refused a login since it started."""
        line = self.compose(
            *("exec", "-T", "-e", f"MYSQL_PWD={self.setting('MYSQL_ROOT_PASSWORD')}", "db"),
            *("mysql", "--batch", "--skip-column-names", "--user=root"),
            *("--execute", "SHOW GLOBAL STATUS LIKE 'Aborted_connects'"),
        )
        return int(line.split()[1])

    def try_make(
        self, target: str, *variables: str, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`make TARGET NAME=VALUE …` with this project as the one of `.env`."""
        mine = {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_ENV_FILES": ",".join(map(str, self.env_files)),
            "COMPOSE_FILE": ":".join(map(str, self.files)),
        }
        return completed(
            ["make", target, *variables],
            cwd=ROOT,
            env=self.environment() | mine | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            timeout=900,
        )

    def make(self, target: str, *variables: str, settings: Mapping[str, str] | None = None) -> str:
        """`make TARGET …`, which has to succeed; its standard output."""
        done = self.try_make(target, *variables, settings=settings)
        assert done.returncode == 0, f"make {target}:\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def kill_9(self, service: str) -> None:
        """SIGKILL to every process of the container but its init, as a crash would.

        `docker kill` will not do: the engine takes it for an intended stop.
        """
        self.try_compose("exec", "-T", service, "sh", "-c", "kill -9 -1")

    def forget(self) -> None:
        """Remove containers, networks and volumes, those of overlays too."""
        self.try_compose("down", "--volumes", "--remove-orphans", "--timeout", "10")
        mine = f"--filter=label=com.docker.compose.project={self.project}"
        for volume in docker("volume", "ls", "--quiet", mine).split():
            docker("volume", "rm", "--force", volume, check=False)


def variables(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}
