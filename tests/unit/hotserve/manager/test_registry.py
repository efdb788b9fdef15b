"""The registry over HTTP, against a server that answers what a test says."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web

from hotserve.config import model_uri
from hotserve.config.proxies import bypass_on_loopback, proxy_for
from hotserve.config.registry_credentials import Connection
from hotserve.manager.mlflow_api import RegistryUnavailable
from hotserve.manager.registry import (
    ModelVersion,
    Registry,
    Resolution,
    connected,
)

Answer = tuple[int, Any]
ABSENT: Answer = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


def row(number: str, stage: str = "Production", **fields: Any) -> dict[str, Any]:
    return {
        "name": "m",
        "version": number,
        "current_stage": stage,
        "source": f"models:/m-{number}",
        "creation_timestamp": 5,
        **fields,
    }


class FakeMlflow:
    """Answers by path; a path that is not there is 500.

    Attributes:
        answers: what to answer to each.
        requests: paths and queries that were asked for.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/api/2.0/mlflow/")
        self.requests.append((path, dict(request.query)))
        status, body = self.answers.get(path, (500, "no such path"))
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text)

    def model(self, *latest: dict[str, Any], changed: int = 1, **aliases: str) -> None:
        listed = [{"alias": alias, "version": number} for alias, number in aliases.items()]
        model = {"latest_versions": latest, "aliases": listed, "last_updated_timestamp": changed}
        self.answers["registered-models/get"] = 200, {"registered_model": model}


@contextlib.asynccontextmanager
async def registry_of(fake: FakeMlflow) -> AsyncIterator[Registry]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with connected(Connection(f"http://{host}:{port}", {}, False)) as registry:
            yield registry
    finally:
        await runner.cleanup()


def ask(fake: FakeMlflow, question: Callable[[Registry], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with registry_of(fake) as registry:
            return await question(registry)

    return asyncio.run(run())


def resolve(fake: FakeMlflow, uri: str) -> Resolution:
    result = ask(fake, lambda registry: registry.resolve(model_uri.parse(uri)))
    assert isinstance(result, Resolution)
    return result


def number(resolution: Resolution) -> str:
    assert resolution.version is not None, resolution.reason
    return resolution.version.version


def test_the_highest_number_is_the_latest_not_the_last_in_the_alphabet() -> None:
    fake = FakeMlflow()
    fake.model(row("9", "None"), row("10", "Archived"), row("2"))
    assert number(resolve(fake, "models:/m/latest")) == "10"


def test_a_stage_is_the_highest_of_its_own_versions() -> None:
    fake = FakeMlflow()
    fake.model(row("9"), row("10"), row("11", "Staging"))
    fake.answers["model-versions/search"] = 200, {}
    assert number(resolve(fake, "models:/m/Production")) == "10"
    assert number(resolve(fake, "models:/m/Staging")) == "11"
    nothing = resolve(fake, "models:/m/Archived")
    assert (nothing.version, nothing.reason) == (None, "no version of 'm' is in Archived yet")


def test_other_versions_in_the_stage_are_named_and_asked_for_only_after_a_change() -> None:
    fake = FakeMlflow()
    fake.model(row("10"), changed=1)
    rows = [row("10"), row("9"), row("2"), row("11", "Staging"), row("1", "Archived")]
    fake.answers["model-versions/search"] = 200, {"model_versions": rows}
    reference = model_uri.parse("models:/m/Production")

    async def question(registry: Registry) -> None:
        for _ in range(3):
            assert (await registry.resolve(reference)).others == ("2", "9")
        searches = [query for path, query in fake.requests if path == "model-versions/search"]
        assert searches == [{"filter": "name = 'm'", "max_results": "1000"}]
        fake.model(row("10"), changed=2)
        fake.answers["model-versions/search"] = 200, {"model_versions": [row("10")]}
        assert (await registry.resolve(reference)).others == ()

    ask(fake, question)


def test_a_server_that_lists_no_versions_still_resolves_a_stage() -> None:
    fake = FakeMlflow()
    fake.model(row("1", name="it's"))
    assert resolve(fake, "models:/it's/Production").others == ()
    assert fake.requests[-1][1]["filter"] == 'name = "it\'s"'


def test_aliases_of_a_version_in_a_stage_are_its_own() -> None:
    fake = FakeMlflow()
    fake.model(row("2"), champion="2", old="1", best="2")
    fake.answers["model-versions/search"] = 200, {}
    version = resolve(fake, "models:/m/Production").version
    assert version is not None
    assert version.aliases == ("champion", "best")
    assert (version.model_id, version.created, version.status) == ("m-2", 5, "READY")


@pytest.mark.parametrize(
    ("uri", "path", "query"),
    [
        ("models:/m@champion", "registered-models/alias", {"name": "m", "alias": "champion"}),
        ("models:/m/03", "model-versions/get", {"name": "m", "version": "3"}),
    ],
)
def test_an_alias_and_a_version_are_one_request(uri: str, path: str, query: dict[str, str]) -> None:
    fake = FakeMlflow()
    fake.answers[path] = 200, {"model_version": row("3", aliases=["champion"])}
    assert number(resolve(fake, uri)) == "3"
    assert fake.requests == [(path, query)]


@pytest.mark.parametrize(
    ("uri", "path", "answer", "reason"),
    [
        ("models:/m/3", "model-versions/get", ABSENT, "there is no version 3 of 'm' in the"),
        ("models:/m@x", "registered-models/alias", ABSENT, "there is no registered model 'm' in"),
        (
            *("models:/m@x", "registered-models/alias"),
            (400, {"error_code": "INVALID_PARAMETER_VALUE"}),
            "no version of 'm' has the alias 'x' yet",
        ),
        ("models:/m/latest", "registered-models/get", ABSENT, "there is no registered model 'm'"),
        ("models:/m/latest", "registered-models/get", (200, {"registered_model": {}}), "'m' has "),
    ],
)
def test_what_is_not_there_yet_is_named(uri: str, path: str, answer: Answer, reason: str) -> None:
    fake = FakeMlflow()
    fake.answers[path] = answer
    found = resolve(fake, uri)
    assert found.version is None
    assert found.reason.startswith(reason)


def test_a_version_that_is_not_ready_is_not_served_yet() -> None:
    fake = FakeMlflow()
    version = row("3", status="PENDING_REGISTRATION")
    fake.answers["model-versions/get"] = 200, {"model_version": version}
    found = resolve(fake, "models:/m/3")
    assert (found.version, found.reason) == (None, "version 3 of 'm' is PENDING_REGISTRATION")


def refreshed(answer: Answer) -> ModelVersion:
    fake = FakeMlflow()
    fake.model(row("3"), champion="3")
    version = resolve(fake, "models:/m/latest").version
    assert version is not None
    fake.answers["model-versions/get"] = answer
    result = ask(fake, lambda registry: registry.refreshed(version))
    assert isinstance(result, ModelVersion)
    assert result.identity == version.identity
    return result


def test_stage_and_aliases_of_a_version_are_read_again() -> None:
    now = refreshed((200, {"model_version": row("3", "Archived", aliases=["old"])}))
    assert (now.stage, now.aliases) == ("Archived", ("old",))


@pytest.mark.parametrize(
    "answer", [ABSENT, (200, {"model_version": row("3", creation_timestamp=6, aliases=["new"])})]
)
def test_a_version_that_was_deleted_has_no_stage_and_no_alias(answer: Answer) -> None:
    assert (refreshed(answer).stage, refreshed(answer).aliases) == ("", ())


def test_figures_of_a_run_are_finite_numbers_and_not_too_many() -> None:
    fake = FakeMlflow()

    def metrics(*rows: tuple[str, float]) -> dict[str, float]:
        listed = [{"key": key, "value": value} for key, value in rows]
        fake.answers["runs/get"] = 200, {"run": {"data": {"metrics": listed}}}
        result = ask(fake, lambda registry: registry.run_metrics("r"))
        assert isinstance(result, dict)
        return result

    assert metrics(("b", 2.0), ("a", 1.0), ("c", float("nan"))) == {"a": 1.0, "b": 2.0}
    assert list(metrics(*((f"{n:03}", 0.0) for n in range(150)))) == [f"{n:03}" for n in range(100)]
    fake.answers["runs/get"] = ABSENT
    assert ask(fake, lambda registry: registry.run_metrics("r")) == {}


def unavailable(fake: FakeMlflow) -> str:
    with pytest.raises(RegistryUnavailable) as error:
        resolve(fake, "models:/m/latest")
    return str(error.value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, "<html>"), "does not answer like an MLflow server (status 200)"),
        ((200, []), "does not answer like an MLflow server (status 200)"),
        # A gateway that is up while MLflow is not.
        ((200, {"status": "maintenance"}), "does not answer like an MLflow server (status 200)"),
        ((200, {"registered_model": None}), "does not answer like an MLflow server (AttributeErr"),
        (
            (200, {"registered_model": {"latest_versions": None}}),
            "does not answer like an MLflow server (TypeError",
        ),
        # As another server that speaks MLflow's API numbers them.
        (
            (200, {"registered_model": {"latest_versions": [row("1.0.0")]}}),
            "does not answer like an MLflow server (ValueError",
        ),
        ((500, {"error_code": "X"}), "does not answer like an MLflow server (status 500)"),
        ((404, "not found"), "does not answer like an MLflow server (status 404)"),
        ((401, ""), "refuses access (401); check MLFLOW_TRACKING_USERNAME"),
        ((403, "Invalid Host header"), "refuses access (403); check MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_an_answer_that_is_of_no_use_says_what_came(answer: Answer, reason: str) -> None:
    fake = FakeMlflow()
    fake.answers["registered-models/get"] = answer
    assert reason in unavailable(fake)


def resolved_at(url: str) -> str:
    """Why the registry at an address does not answer."""

    async def run() -> None:
        connection = Connection(url, {}, ssl.create_default_context())
        async with connected(connection) as registry:
            await registry.resolve(model_uri.parse("models:/m/latest"))

    with pytest.raises(RegistryUnavailable) as error:
        asyncio.run(run())
    return str(error.value)


async def _answer(reply: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(reply)
    await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def replying(reply: bytes) -> AsyncIterator[int]:
    """A port whose server answers everything with the same bytes."""
    server = await asyncio.start_server(lambda r, w: _answer(reply, r, w), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def reason_behind(reply: bytes, url: str, patch: pytest.MonkeyPatch, proxy: str = "") -> str:
    async def run() -> str:
        async with replying(reply) as port:
            if proxy:
                for variable in ("http_proxy", "https_proxy"):
                    patch.setenv(variable, proxy.format(port=port))
            return await asyncio.to_thread(resolved_at, url.format(port=port))

    return asyncio.run(run())


def test_https_to_a_server_of_http_is_no_matter_of_a_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reply = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
    reason = reason_behind(reply, "https://127.0.0.1:{port}", monkeypatch)
    assert "does not speak TLS" in reason
    assert "http://" in reason
    assert "certificate" not in reason


PROXY = "http://ana:s3cret@127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (407, "", "refuses access to http://mlflow.example (407)"),
        (403, "<h1>Blocked by policy</h1>", "refuses access to http://mlflow.example (403)"),
        (502, "Bad Gateway", "does not answer like an MLflow server (status 502, through the pro"),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_password(
    status: int, body: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = f"HTTP/1.1 {status} No\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    reason = reason_behind(reply, "http://mlflow.example", monkeypatch, PROXY)
    assert said in reason
    assert "the proxy 127.0.0.1:" in reason
    assert "s3cret" not in reason


def test_a_refusal_by_mlflow_behind_a_proxy_is_mlflows(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = b"HTTP/1.1 403 No\r\ncontent-length: 17\r\n\r\nPermission denied"
    reason = reason_behind(reply, "http://mlflow.example", monkeypatch, PROXY)
    assert reason.startswith("http://mlflow.example refuses access (403); check MLFLOW_TRACKING")


def test_a_proxy_that_refuses_a_tunnel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"
    reason = reason_behind(reply, "https://mlflow.example", monkeypatch, PROXY)
    assert reason.startswith("the proxy 127.0.0.1:")
    assert reason.endswith("refuses access to https://mlflow.example (407)")


def test_a_proxy_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://ana:s3cret@127.0.0.1:1")
    said = "the proxy 127.0.0.1:1 can't be reached (Connection refused)"
    assert resolved_at("http://mlflow.example") == said
    assert resolved_at("http://127.0.0.1:1") == said
    bypassed: dict[str, str] = {}
    bypass_on_loopback(bypassed)
    monkeypatch.setenv("no_proxy", bypassed["no_proxy"])
    said = "http://127.0.0.1:1 can't be reached (Connection refused)"
    assert resolved_at("http://127.0.0.1:1") == said


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": ".corp"}, ".corp,localhost,127.0.0.1,::1"),
        ({"no_proxy": "a", "NO_PROXY": "b"}, "a,localhost,127.0.0.1,::1"),
    ],
)
def test_this_machine_is_never_asked_through_a_proxy(before: dict[str, str], after: str) -> None:
    environment = dict(before)
    bypass_on_loopback(environment)
    assert environment == {"no_proxy": after, "NO_PROXY": after}


def test_no_proxy_for_anybody_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"NO_PROXY": "*"}
    bypass_on_loopback(environment)
    assert environment == {"no_proxy": "*", "NO_PROXY": "*"}
    monkeypatch.setenv("http_proxy", "http://u:p@proxy:3128")
    assert proxy_for("http://mlflow") == "proxy:3128"
    assert proxy_for("https://mlflow") == ""
    for host in ("localhost", "127.0.0.1", "[::1]"):
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1,::1")
        assert proxy_for(f"http://{host}:5000") == ""


def registered(name: str, *latest: dict[str, Any], changed: int = 1, **aliases: str) -> Any:
    """A registered model as MLflow lists it."""
    listed = [{"alias": alias, "version": number} for alias, number in aliases.items()]
    own = [{**each, "name": name} for each in latest]
    fields = {"name": name, "last_updated_timestamp": changed}
    # An empty list is no key at all.
    fields |= {"latest_versions": own} if own else {}
    return fields | ({"aliases": listed} if listed else {})


def search(fake: FakeMlflow, uri: str, times: int = 1) -> dict[str, Resolution]:
    async def question(registry: Registry) -> dict[str, Resolution]:
        for _ in range(times):
            found = await registry.search(model_uri.parse(uri))
        return found

    found: dict[str, Resolution] = ask(fake, question)
    return found


SEARCH = "registered-models/search"


def test_all_models_are_asked_for_at_once() -> None:
    fake = FakeMlflow()
    models = [
        registered("loja-a", row("2"), row("3", "Staging")),
        registered("loja-b", row("1", "None")),
        registered("loja-c", row("4", status="PENDING_REGISTRATION")),
        registered("lojaXd", row("4")),
    ]
    fake.answers[SEARCH] = 200, {"registered_models": models}
    fake.answers["model-versions/search"] = 200, {}
    found = search(fake, "models:/loja-*/Production", times=3)
    assert {name: each.version and each.version.version for name, each in found.items()} == {
        "loja-a": "2",
        "loja-b": None,
        "loja-c": None,
    }
    assert found["loja-b"].reason == "no version of 'loja-b' is in Production yet"
    assert "PENDING" in found["loja-c"].reason
    asked = [query for path, query in fake.requests if path == SEARCH]
    assert asked == [{"max_results": "1000", "filter": "name LIKE 'loja-%'"}] * 3
    others = [path for path, _ in fake.requests if path != SEARCH]
    assert others == ["model-versions/search"], "once, as nothing was changed"


def test_the_latest_of_all() -> None:
    fake = FakeMlflow()
    models = [registered("a", row("9"), row("10", "None")), registered("b")]
    fake.answers[SEARCH] = 200, {"registered_models": models}
    found = search(fake, "models:/*/latest")
    assert number(found["a"]) == "10"
    assert found["b"].reason == "'b' has no version yet"
    assert fake.requests == [(SEARCH, {"max_results": "1000"})]


def test_an_alias_of_all_is_looked_up_only_where_it_was_moved() -> None:
    fake = FakeMlflow()
    models = [
        registered("a", row("3", "None"), champion="3"),
        # Not the latest one of a stage, so that the list does not have it.
        registered("b", row("3", "None"), champion="2", other="3"),
        registered("c", row("1", "None")),
    ]
    fake.answers[SEARCH] = 200, {"registered_models": models}
    version = {**row("2", "None"), "name": "b"}
    fake.answers["registered-models/alias"] = 200, {"model_version": version}
    found = search(fake, "models:/*@champion", times=3)
    assert (number(found["a"]), number(found["b"])) == ("3", "2")
    assert found["b"].version is not None
    assert found["b"].version.aliases == ("champion",)
    assert found["c"].reason == "no version of 'c' has the alias 'champion' yet"
    looked_up = [query for path, query in fake.requests if path != SEARCH]
    assert looked_up == [{"name": "b", "alias": "champion"}]


def test_a_list_of_several_pages() -> None:
    fake = FakeMlflow()
    pages = [
        {"registered_models": [registered("a", row("1"))], "next_page_token": "t"},
        {"registered_models": [registered("b", row("1"))]},
    ]

    async def question(registry: Registry) -> dict[str, Resolution]:
        return await registry.search(model_uri.parse("models:/*/latest"))

    handle = fake.handle

    async def page(request: web.Request) -> web.Response:
        fake.answers[SEARCH] = 200, pages[1 if request.query.get("page_token") == "t" else 0]
        return await handle(request)

    fake.handle = page  # type: ignore[method-assign]
    assert list(ask(fake, question)) == ["a", "b"]


def test_a_registry_without_models_answers() -> None:
    fake = FakeMlflow()
    fake.answers[SEARCH] = 200, {}
    assert search(fake, "models:/*/Production") == {}
    bodies: list[Any] = ["<html>", {"status": "maintenance"}, {"registered_models": [{}]}]
    for body in bodies:
        fake.answers[SEARCH] = 200, body
        with pytest.raises(RegistryUnavailable, match="does not answer like an MLflow server"):
            search(fake, "models:/*/Production")


@pytest.mark.parametrize("uri", ["models:/m@a", "models:/m/1"])
def test_a_version_without_a_name_is_no_answer(uri: str) -> None:
    fake = FakeMlflow()
    for path in ("registered-models/alias", "model-versions/get"):
        fake.answers[path] = 200, {"model_version": {}}
    with pytest.raises(RegistryUnavailable, match="does not answer like an MLflow server"):
        resolve(fake, uri)
    with pytest.raises(RegistryUnavailable, match="does not answer like an MLflow server"):
        ask(fake, lambda registry: registry.refreshed(ModelVersion("m", "1")))


@pytest.mark.parametrize(
    ("name", "like"),
    [("d'água-*", "d__gua-%"), ("100%_*x", "100__%x"), ("**", None), ("a.b c-*", "a.b c-%")],
)
def test_a_pattern_as_a_filter_of_mlflow(name: str, like: str | None) -> None:
    fake = FakeMlflow()
    fake.answers[SEARCH] = 200, {}
    search(fake, f"models:/{name}/latest")
    [(_, query)] = fake.requests
    assert query.get("filter") == (f"name LIKE '{like}'" if like else None)
