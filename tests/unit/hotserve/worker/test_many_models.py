"""Many models behind one port: each at its own path, with its own limits and counts."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from hotserve.config.tokens import Client
from hotserve.worker.answer import JSON, Answer
from hotserve.worker.reporter import Reporter
from tests.unit.hotserve.worker.front_worker import FrontWorker, Lane, request, until

pytestmark = pytest.mark.anyio

ANA, NAMED = "ana", "tênis 50% off@loja"
ESCAPED = "t%C3%AAnis%2050%25%20off%40loja"


def worker(**options: object) -> FrontWorker:
    return FrontWorker(models=[ANA, NAMED], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        (f"/models/{ANA}/invocations", "fast"),
        (f"/models/{ESCAPED}/invocations", "fast"),
        ("/models/t%C3%AAnis%2050%25%20off@loja/invocations", "fast"),
        # Another spelling of the same path, and one with a query, take the longer way.
        ("/models/%61na/invocations", "fast"),
        (f"/models/{ANA}/invocations?x=1", "fast"),
        (f"/models/{ANA}/invocations/", "fast"),
    ],
)
async def test_each_answers_at_its_own_path(path: str, lane: str) -> None:
    answer = await worker().ask("POST", path, b"halo")
    assert (answer.status, answer.headers["x-hotserve-lane"]) == (200, lane)
    assert answer.json() == {"predictions": ["game"]}


async def test_what_the_lane_can_not_answer_goes_to_the_model_s_own_process() -> None:
    one = worker()
    one.processes[NAMED].answer = Answer(200, [JSON], b'{"predictions": ["dele"]}')
    for path, predicted in ((f"/models/{ANA}", "process"), (f"/models/{ESCAPED}", "dele")):
        answer = await one.ask("POST", f"{path}/invocations", b"a, b")
        assert answer.json() == {"predictions": [predicted]}
    assert [len(one.processes[name].sent) for name in (ANA, NAMED)] == [1, 1]


async def test_the_paths_of_a_model() -> None:
    one = worker()
    model = await one.ask("GET", f"/models/{ESCAPED}/model")
    assert model.json()["name"] == NAMED
    assert (await one.ask("GET", f"/models/{ANA}/ping")).status == 200
    assert (await one.ask("GET", f"/models/{ANA}/version")).body == b"3.17"
    page = await one.ask("GET", f"/models/{ANA}/")
    assert b'src="page/page.js"' in page.body
    assert (await one.ask("GET", f"/models/{ANA}/page/page.js")).status == 200
    moved = await one.ask("GET", f"/models/{ESCAPED}")
    assert (moved.status, moved.headers["location"]) == (307, f"{ESCAPED}/")
    ready = await one.ask("GET", f"/v2/models/{ESCAPED}/ready")
    assert ready.json() == {"name": NAMED, "ready": True}
    wrong = await one.ask("GET", f"/models/{ANA}/nothing")
    assert wrong.status == 404
    assert "/models/{name}/invocations" in wrong.message


@pytest.mark.parametrize("path", ["/models/bia/invocations", "/models/bia", "/models/bia/ping"])
async def test_a_model_that_is_not_there(path: str) -> None:
    one = worker()
    answer = await one.ask("POST", path, b"halo")
    assert answer.status == 404
    assert answer.message == (
        "no model of this name is served; /models lists those that are served"
    )
    one.say("", message="no registered model matches 'turma-*' yet")
    assert "no registered model matches" in (await one.ask("POST", path, b"halo")).message
    assert "error" in (await one.ask("GET", "/v2/models/bia")).json()


async def test_paths_of_one_model_are_not_there(anyio_backend: str) -> None:  # noqa: ARG001
    one = worker()
    for method, path in (("POST", "/invocations"), ("GET", "/model"), ("GET", "/version")):
        assert (await one.ask(method, path, b"halo")).status == 404
    alone = FrontWorker()
    for path in ("/models", "/models/produtos/invocations", "/models/"):
        assert (await alone.ask("GET", path)).status == 404


async def test_the_list() -> None:
    one = worker()
    one.say("", uri="models:/*/Production", message=None)
    listed = (await one.ask("GET", "/models")).json()
    assert listed["uri"] == "models:/*/Production"
    assert [each["name"] for each in listed["models"]] == [ANA, NAMED]
    assert (
        listed["models"][1] | {"path": f"/models/{ESCAPED}/", "version": "7"}
        == (listed["models"][1])
    )
    assert b'src="page/models.js"' in (await one.ask("GET", "/")).body


async def test_the_server_answers_while_any_model_does() -> None:
    one = worker()
    for path in ("/ping", "/health", "/v2/health/ready"):
        assert (await one.ask("GET", path)).status == 200
    one.say(ANA, None, None, name=ANA, message="ana version 2 would not start")
    assert (await one.ask("GET", "/ping")).status == 200
    assert (await one.ask("GET", f"/models/{ANA}/ping")).status == 503
    one.say(NAMED, is_gone=True)
    one.say("", message="nothing yet")
    pinged = await one.ask("GET", "/ping")
    assert (pinged.status, pinged.message) == (503, "nothing yet")


async def test_a_model_that_goes_and_comes_back() -> None:
    one = worker()
    path = f"/models/{ANA}/invocations"
    connection = one.connect()
    one.processes[ANA].gate.clear()
    connection.send(request("POST", path, b"a, b"))
    await until(lambda: one.processes[ANA].sent)
    one.say(ANA, is_gone=True)
    assert (await one.ask("POST", path, b"halo")).status == 404
    # What was under way is answered.
    one.processes[ANA].gate.set()
    assert (await connection.answer()).status == 200
    manager: Any = SimpleNamespace(send=lambda _: None)
    Reporter(one.models, manager).report()
    assert (await one.ask("POST", path, b"halo")).status == 404
    assert [each.name for each in one.models.everything()] == ["", NAMED]
    one.say(ANA, None, Lane(), name=ANA, version="1")
    assert (await one.ask("POST", path, b"halo")).status == 200


async def test_one_that_is_busy_leaves_the_others_their_room() -> None:
    one = worker(max_requests=2)
    one.processes[ANA].gate.clear()
    waiting = [one.connect() for _ in range(2)]
    for connection in waiting:
        connection.send(request("POST", f"/models/{ANA}/invocations", b"a, b"))
    await until(lambda: len(one.processes[ANA].sent) == 2)
    refused = await one.ask("POST", f"/models/{ANA}/invocations", b"c, d")
    assert (refused.status, refused.message[:21]) == (503, "2 requests are under ")
    answer = await one.ask("POST", f"/models/{ESCAPED}/invocations", b"c, d")
    assert answer.status == 200
    one.processes[ANA].gate.set()
    for connection in waiting:
        assert (await connection.answer()).status == 200


async def test_each_is_counted_and_logged_by_itself() -> None:
    one = worker()
    for _ in range(2):
        await one.ask("POST", f"/models/{ESCAPED}/invocations", b"halo")
    await one.ask("POST", f"/models/{ANA}/invocations", b"a, b")
    await one.ask("GET", f"/models/{ANA}/ping")
    await one.ask("GET", "/models")
    counts = {model.name: model.counters.take() for model in one.models.everything()}
    assert counts[NAMED]["requests"] == [[200, "fast", "7", 2]]
    assert counts[ANA]["requests"] == [[200, "process", "7", 1]]
    assert counts[ANA]["other_requests"] == [["/ping", 200, 1]]
    assert counts[""]["other_requests"] == [["/models", 200, 1]]
    logged = json.dumps([line["path"] for line in one.logged()], ensure_ascii=False)
    assert logged.count(f"/models/{NAMED}/invocations") == 2


async def test_a_token_that_is_good_for_some_models() -> None:
    one = worker(tokens={"da-ana": Client("ana", (ANA,)), "de-todos": Client()})

    async def ask(method: str, path: str, token: str) -> int:
        answer = await one.ask(method, path, b"halo", authorization=f"Bearer {token}")
        return answer.status

    for path in (f"/models/{ANA}", f"/v2/models/{ANA}/ready", f"/models/{ANA}/model"):
        path = f"{path}/invocations" if path.endswith(ANA) else path
        method = "POST" if path.endswith("invocations") else "GET"
        other = path.replace(ANA, ESCAPED)
        asked = [
            await ask(method, p, t) for p in (path, other) for t in ("da-ana", "de-todos", "x")
        ]
        assert asked == [200, 200, 401, 403, 200, 401], path
    listed = await one.ask("GET", "/models", authorization="Bearer da-ana")
    assert [each["name"] for each in listed.json()["models"]] == [ANA]
    # Figures are of all models.
    assert [await ask("GET", "/metrics", t) for t in ("da-ana", "de-todos")] == [403, 200]
    refused = await one.ask("GET", "/models/bia/model", authorization="Bearer x")
    assert refused.status == 401, "who has no token is not told which models there are"
