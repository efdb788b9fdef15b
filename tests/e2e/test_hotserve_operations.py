"""hotserve with a token and an access log, as somebody runs it on a network."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from openapi_schema_validator import OAS31Validator
from playwright.sync_api import expect

from tests.e2e.conftest import without_mlflow
from tests.e2e.hotserve_models import save, text_model
from tests.e2e.hotserve_process import PATIENCE, Hotserve, eventually, running_hotserve
from tests.e2e.raw_http import RawConnection
from tests.e2e.registry_page import chromium
from tests.e2e.token_requests import CSV, SHOWN, TOKEN, asked, logged
from tests.e2e.watched_page import opened


@pytest.fixture(scope="module")
def hotserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotserve]:
    """A model folder behind a token, each request logged."""
    home = tmp_path_factory.mktemp("hotserve-operations")
    with running_hotserve(
        save(text_model(), home / "model"),
        home,
        without_mlflow() | {"HOTSERVE_TOKEN": TOKEN},
        options=("--workers", "2", "--access-log", "--log-format", "json"),
        stdout=home / "requests.log",
    ) as running:
        running.get("/ping")
        eventually(
            lambda: is_open(asked(running, "GET", "/model", SHOWN).json()),
            "the lane does not open",
        )
        yield running


def is_open(model: dict[str, Any]) -> bool:
    return (model["lane"] or {}).get("state") == "open"


@pytest.mark.parametrize("path", ["/model", "/metrics", "/version", "/nowhere", "/invocations"])
@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, "Bearer"),
        ({"Authorization": f"Basic {TOKEN}"}, "Bearer"),
        ({"Authorization": f"Bearer {TOKEN}x"}, 'Bearer error="invalid_token"'),
    ],
)
def test_who_has_no_token_gets_nothing(
    hotserve: Hotserve, path: str, headers: dict[str, str], challenge: str
) -> None:
    method = "POST" if path == "/invocations" else "GET"
    answer = asked(hotserve, method, path, headers | CSV, b"halo")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == challenge
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["error_code"] == "UNAUTHENTICATED"
    assert "X-Model-Version" not in answer.headers


def test_who_has_it_gets_everything(hotserve: Hotserve) -> None:
    answer = asked(hotserve, "POST", "/invocations", SHOWN | CSV, b"halo")
    assert answer.json() == {"predictions": ["game"]}
    assert asked(hotserve, "GET", "/model", SHOWN).status_code == 200
    metrics = asked(hotserve, "GET", "/metrics", SHOWN)
    assert 'hotserve_other_requests_total{code="401",path="/model"}' in metrics.text


@pytest.mark.parametrize(
    "path", ["/ping", "/health", "/", "/page/page.js", "/docs", "/openapi.json"]
)
def test_what_is_no_secret_is_open(hotserve: Hotserve, path: str) -> None:
    assert asked(hotserve, "GET", path, {}).status_code == 200


def test_answers_are_as_described(hotserve: Hotserve) -> None:
    described = asked(hotserve, "GET", "/openapi.json", {}).json()
    validator = OAS31Validator(described)

    def check(answer: requests.Response, name: str) -> None:
        schema = {"$ref": f"#/components/schemas/{name}"}
        assert list(validator.evolve(schema=described | schema).iter_errors(answer.json())) == []

    model = asked(hotserve, "GET", "/model", SHOWN)
    check(model, "Model")
    assert set(model.json()) == set(described["components"]["schemas"]["Model"]["properties"])
    for body in (b"halo", b"halo " + b"nada " * 5_000):
        answer = asked(hotserve, "POST", "/invocations", SHOWN | CSV, body)
        check(answer, "Predictions")
        headers = described["paths"]["/invocations"]["post"]["responses"]["200"]["headers"]
        assert all(name in answer.headers for name in headers)
    check(asked(hotserve, "GET", "/model", {}), "Error")
    check(asked(hotserve, "POST", "/invocations", SHOWN, b"halo"), "Error")


def test_the_page_asks_for_the_token(hotserve: Hotserve) -> None:
    with chromium() as browser, opened(browser, hotserve.url) as watched:
        page = watched.page
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        # Where who runs the server finds one, whichever way it was given.
        expect(dialog).to_contain_text("HOTSERVE_TOKEN")
        expect(dialog).to_contain_text("--token-file")
        page.get_by_role("textbox", name="Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        watched.is_answered("halo", "game")
        kept = page.evaluate("[Object.values(sessionStorage), Object.values(localStorage)]")
        assert TOKEN in kept[0]
        assert TOKEN not in kept[1]
        assert page.context.cookies() == []
        # Another session of the same browser asks again.
        with page.context.expect_page() as other:
            page.evaluate("url => { window.open(url, '_blank', 'noopener'); }", hotserve.url)
        expect(other.value.get_by_role("dialog")).to_be_visible()


def test_no_process_has_the_token_in_its_environment_or_its_command_line(
    hotserve: Hotserve,
) -> None:
    family = hotserve.family()
    assert len(family) > 4
    for process in family:
        assert TOKEN not in " ".join(process.cmdline())
        # The one that was started with it had it from the user.
        if process.pid != hotserve.process.pid:
            assert TOKEN not in " ".join(process.environ().values()), process.cmdline()


def test_each_request_is_a_line_of_json(hotserve: Hotserve) -> None:
    before = len(logged(hotserve))
    long = b"halo " + b"nada " * 5_000
    answers = []
    for request in (
        ("POST", "/invocations", SHOWN | CSV, b"dom casmurro"),
        ("POST", "/invocations", SHOWN | CSV, b"halo\n" * 5_000),
        ("POST", "/invocations", SHOWN | CSV, long),
        ("GET", "/não/é%0Aum%00caminho?token=secreto", SHOWN, b""),
        ("HEAD", "/ping", {}, b""),
    ):
        answers.append(asked(hotserve, *request))
        # Workers write one beside the other, each when its answer is on its way.
        expected = before + len(answers)
        eventually(lambda n=expected: len(logged(hotserve)) == n, "a line is missing")  # type: ignore[misc]
    lines = logged(hotserve)[before:]
    for answer, line in zip(answers, lines, strict=True):
        assert line["status"] == answer.status_code
        assert line["bytes"] == len(answer.content)
        assert line["method"] == answer.request.method
        assert line["client"] == "127.0.0.1"
        assert 0 < line["ms"] < 1000 * PATIENCE
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert [line["lane"] for line in lines] == ["fast", "fast", "process", None, None]
    assert lines[0]["path"] == "/invocations"
    assert lines[3]["path"] == "/não/é\num\x00caminho"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"TURN IT ON\r\n\r\n", {"status": 400, "method": None, "path": None}),
        (
            b"GET /ping HTTP/1.1\r\n" + 200 * b"x-a: b\r\n" + b"\r\n",
            {"status": 431, "method": None, "path": None},
        ),
        (
            b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\n"
            b"transfer-encoding: chunked\r\nauthorization: Bearer %b\r\n\r\nno length\r\n"
            % TOKEN.encode(),
            {"status": 400, "method": "POST", "path": "/invocations"},
        ),
    ],
    ids=["no http", "many headers", "broken in its body"],
)
def test_a_request_that_can_not_be_read_is_a_line_too(
    hotserve: Hotserve, sent: bytes, told: dict[str, Any]
) -> None:
    before = len(logged(hotserve))
    with RawConnection(hotserve.url) as connection:
        answer = connection.send(sent).answer()
    assert answer.status == told["status"]
    eventually(lambda: len(logged(hotserve)) > before, "there is no line")
    [line] = logged(hotserve)[before:]
    assert {name: line[name] for name in told} == told
    assert line["client"] == "127.0.0.1"


def test_logs_hold_no_token_and_hotserves_own_lines_are_json(hotserve: Hotserve) -> None:
    own = hotserve.log.read_text("utf-8")
    assert hotserve.stdout is not None
    assert TOKEN not in own + hotserve.stdout.read_text("utf-8")
    messages = [json.loads(line) for line in own.splitlines()]
    assert any("listening on" in line["message"] for line in messages)
    assert {line["level"] for line in messages} <= {"info", "warning", "error"}
