"""A team's stack with monitoring: only MLflow's admins see its pages, and everything is asked."""

import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.compose.conftest import base_images
from tests.compose.stack import ROOT, Stack, docker, wait_until
from tests.compose.test_monitoring import memory_of

OVERLAYS = ("compose.team.yml", "compose.monitoring.yml", "compose.team-monitoring.yml")
PAGES = {"prometheus": "PROMETHEUS_PORT", "alertmanager": "ALERTMANAGER_PORT"}


@pytest.fixture(scope="module")
def team(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """The overlays with secrets by `make team`."""
    folder = tmp_path_factory.mktemp("team")
    env = folder / ".env"
    shutil.copy(ROOT / ".env", env)
    subprocess.run(
        [ROOT / "deploy" / "make-team.sh", env],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PUBLIC_HOST": "localhost"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    one = new_stack(*(ROOT / name for name in OVERLAYS))
    _, *offline = base_images(folder / "offline.env", "monitoring").env_files
    one.env_files = (env, *offline)
    one.compose("up", "--detach", timeout=600)
    one.wait_trained()
    yield one
    one.forget()


def get(stack: Stack, port: str, path: str, user: tuple[str, str] | None) -> requests.Response:
    """What a browser would get that knows our certificates' authority."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        url = f"https://localhost:{stack.settings[port]}{path}"
        return requests.get(url, auth=user, verify=False, timeout=60)


@pytest.mark.timeout(1200)
def test_only_admins_see_the_pages(team: Stack) -> None:
    added = team.compose(
        *("run", "--rm", "--no-deps", "-T", "accounts"),
        *("python", "-m", "server.accounts", "add", "ana", "promoter"),
    )
    password = added.split()[-1]
    admin = ("admin", team.setting("MLFLOW_ADMIN_PASSWORD"))
    assert get(team, "MLFLOW_PORT", "/health", None).status_code == 200
    for service, port in PAGES.items():
        for path in ("/", "/metrics", "/-/healthy"):
            assert get(team, port, path, None).status_code == 401, (service, path)
            assert get(team, port, path, ("admin", "wrong")).status_code == 401, (service, path)
            assert get(team, port, path, ("ana", password)).status_code == 403, (service, path)
            assert get(team, port, path, admin).status_code == 200, (service, path)
        assert not docker("port", team.container(service))


@pytest.mark.timeout(900)
def test_everything_is_asked_with_its_token_and_by_tls(team: Stack) -> None:
    admin = ("admin", team.setting("MLFLOW_ADMIN_PASSWORD"))

    def values(query: str) -> list[float]:
        answer = get(team, "PROMETHEUS_PORT", f"/api/v1/query?query={query}", admin)
        return [float(one["value"][1]) for one in answer.json()["data"]["result"]]

    wait_until(lambda: set(values("up")) == {1.0}, "every target to be up")
    wait_until(lambda: values("hotserve_ready") == [1.0], "the API to serve")
    wait_until(lambda: values("probe_success") == [1.0] * 3, "MLflow, S3 and Caddy to answer")
    (left,) = values("probe_ssl_earliest_cert_expiry-time()")
    assert left > 3600
    containers = docker(
        "ps", "--quiet", "--filter", f"label=com.docker.compose.project={team.project}"
    )
    assert sum(map(memory_of, containers.split())) < 2 << 30
