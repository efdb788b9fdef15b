"""What a team's MLflow leaves open to everybody with a password, path by path."""

import re
from pathlib import Path

import pytest

from tests.support.mlflow_routes import routes

CADDYFILE = Path(__file__).parents[3] / "deploy" / "team" / "Caddyfile"

Route = tuple[str, str, str]


@pytest.fixture(scope="module")
def reachable() -> list[Route]:
    """What MLflow has and Caddy does not shut."""
    (shut,) = re.findall(r"@unused path_regexp (\S+)", CADDYFILE.read_text("utf-8"))
    return [route for route in routes() if not re.search(shut, route[1])]


def paths(reachable: list[Route], who: str) -> set[str]:
    """Without what stands before a path of the API."""
    return {
        f"{method} {re.sub(r'^/(ajax-)?api/[0-9.]+/mlflow/', '/', path)}"
        for method, path, found in reachable
        if found == who
    }


def test_without_a_login_there_is_nothing_of_anybody_s(reachable: list[Route]) -> None:
    assert paths(reachable, "nobody") == {
        f"{method} {path}"
        for method in ("GET", "HEAD")
        for path in ("/health", "/server-info", "/static-files/1")
    }


def test_with_a_password_alone_one_sees_the_page_and_oneself(reachable: list[Route]) -> None:
    assert paths(reachable, "everybody") == {
        "GET /",
        "GET /version",
        "GET /ui-telemetry",
        "POST /ui-telemetry",
        "GET /users/current",
        "GET /users/current/permissions",
    }


def test_lists_hold_what_one_may_see(reachable: list[Route]) -> None:
    assert paths(reachable, "filtered") == {
        "GET /experiments/search",
        "POST /experiments/search",
        "GET /registered-models/search",
        "POST /runs/search",
        "GET /graphql",
        "HEAD /graphql",
        "POST /graphql",
    }


def test_what_is_not_flask_s_is_files_and_traces(reachable: list[Route]) -> None:
    files = ("/api/2.0/mlflow-artifacts/artifacts/1", "/ajax-api/2.0/mlflow-artifacts/artifacts/1")
    assert paths(reachable, "native") == {
        "POST /v1/traces",
        *(f"{method} {path}" for method in ("GET", "PUT") for path in files),
    }
