"""What a team's MLflow leaves open to everybody with a password, path by path."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

from server.team import take_as_long_for_nobody
from tests.support.commands import ROOT
from tests.support.mlflow_routes import routes

CADDYFILE = ROOT / "deploy" / "team" / "Caddyfile"

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


def test_a_name_that_nobody_has_costs_as_much_as_a_wrong_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = SqlAlchemyStore()
    store.init_db(f"sqlite:///{tmp_path}/users.db")
    store.create_user("ana", "a-long-password")
    take_as_long_for_nobody(store)
    scrypt, hashed = hashlib.scrypt, list[Any]()

    def counted(*given: Any, **options: Any) -> bytes:
        hashed.append(options)
        return scrypt(*given, **options)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    assert store.authenticate_user("ana", "a-long-password")
    assert not store.authenticate_user("ana", "another-password")
    assert not store.authenticate_user("nobody", "another-password")
    right, wrong, nobody = ({k: v for k, v in one.items() if k != "salt"} for one in hashed)
    assert right == wrong == nobody
