"""Every path that a team's MLflow and API have, as nobody and as somebody who may do nothing."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.compose.stack import MODEL, wait_until
from tests.compose.team import Team
from tests.support.commands import ROOT
from tests.support.mlflow_routes import routes

REFUSED = (400, 401, 403, 404, 405)


def answered(session: requests.Session, url: str) -> dict[str, set[str]]:
    """What got more than an empty list, by who may: see `tests.support.mlflow_routes`."""

    def ask(route: tuple[str, str, str]) -> requests.Response:
        method, path, _ = route
        body: dict[str, str] | None = None if method in ("GET", "HEAD") else {}
        return session.request(method, url + path, json=body, timeout=60, allow_redirects=False)

    found: dict[str, set[str]] = {}
    listed = routes()
    with ThreadPoolExecutor(8) as pool:
        for (method, path, who), answer in zip(listed, pool.map(ask, listed), strict=True):
            if answer.status_code not in REFUSED and answer.text.strip() != "{}":
                what = f"{method} {path}: {answer.status_code} {answer.text[:100]}"
                found.setdefault(who, set()).add(what)
    return found


def test_without_a_password_mlflow_says_nothing(team: Team) -> None:
    found = answered(team.session(), team.mlflow_url)
    assert set(found) == {"nobody"}, found


def test_a_password_alone_opens_the_page_and_shows_nothing(
    team: Team, accounts: dict[str, requests.Session]
) -> None:
    url = f"{team.mlflow_url}/api/2.0/mlflow/users/create"
    user = {"username": "the-guest", "password": "a-long-password"}
    assert accounts["admin"].post(url, json=user, timeout=60).ok
    guest = team.session(user["username"], user["password"])
    found = answered(guest, team.mlflow_url)
    found.pop("filtered", None)  # /graphql, which wants a query
    assert set(found) == {"nobody", "everybody"}, found


DESCRIBED = ROOT / "classificador-produtos" / "hotserve" / "openapi.json"
OPERATIONS = [
    (method, path)
    for path, item in json.loads(DESCRIBED.read_text("utf-8"))["paths"].items()
    for method in ("get", "head", "post")
    if method in item
]
OPEN = {"/ping", "/health", "/v2/health/live", "/v2/health/ready"}
OPEN |= {"/", "/page/{file}", "/docs", "/openapi.json"}
TENSOR = {"name": "input-0", "datatype": "BYTES", "shape": [1], "data": ["boneca"]}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_api_answers_to_who_shows_a_token(team: Team, method: str, path: str) -> None:
    token = f"Bearer {team.setting('HOTSERVE_TOKEN')}"

    def status(authorization: str) -> int:
        session = team.session()
        session.headers["Authorization"] = authorization
        url = team.serve_url + path.format(name=MODEL, version="1", file="page.js")
        body = {"inputs": [TENSOR] if path.endswith("/infer") else ["boneca"]}
        return session.request(
            method, url, json=body if method == "post" else None, timeout=60
        ).status_code

    wait_until(lambda: status(token) == 200, "who has a token to be answered")
    assert status("") == status("Bearer wrong") == (200 if path in OPEN else 401)
