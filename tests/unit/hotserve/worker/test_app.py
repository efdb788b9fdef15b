"""The application: who is let in, what is answered, counted and logged."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Target
from hotserve.worker.admission import BODIES
from hotserve.worker.answer import JSON, Answer
from hotserve.worker.routing import PREDICTIONS
from tests.unit.hotserve.worker.front_worker import FrontWorker, Received, request, settle, until

pytestmark = pytest.mark.anyio

TOKEN = "Bearer abre-te"
PUBLIC = ["/ping", "/health", "/", "/docs", "/openapi.json", "/page/page.js"]
PRIVATE = ["/version", "/model", "/metrics"]


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("path", [*PUBLIC, *PRIVATE])
async def test_every_path_is_there(path: str, end: str) -> None:
    worker = FrontWorker()
    answer = await worker.ask("GET", path + end)
    assert answer.status == 200
    head = worker.connect().send(request("HEAD", path + end)).transport
    await until(lambda: head.written)
    await settle()
    assert head.written.endswith(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(answer.body) in head.written
    counted = path if path != "/page/page.js" else "other"
    assert worker.counters.take()["other_requests"] == [[counted, 200, 2]]
    first, last = worker.logged()
    assert first["bytes"] == len(answer.body)
    assert (last["bytes"], last["method"], last["lane"], last["version"]) == (0, "HEAD", None, None)


async def test_how_long_a_version_has_been_on_its_way() -> None:
    worker = FrontWorker()
    since = datetime.now(UTC) - timedelta(seconds=90)
    wanted = {"version": "2", "state": "starting", "since": since.isoformat()}
    worker.serve(worker.serving.now().change.target, None, wanted=wanted)
    told = (await worker.ask("GET", "/model")).json()["wanted"]
    assert told["seconds"] >= 90
    assert told == {**wanted, "seconds": told["seconds"]}
    wanted["since"] = "2100-01-01T00:00Z"
    worker.serve(worker.serving.now().change.target, None, wanted=wanted)
    assert (await worker.ask("GET", "/model")).json()["wanted"]["seconds"] == 0


@pytest.mark.parametrize("program", ["curl/8.14.1", "Wget/1.25.0", "python-requests/2.32", ""])
@pytest.mark.parametrize("body", [b"halo", b"boneca"], ids=["lane", "process"])
async def test_an_answer_in_a_terminal_ends_with_a_line_end(program: str, body: bytes) -> None:
    worker = FrontWorker()
    end = b"\n" if program.startswith(("curl", "Wget")) else b""
    answer = await worker.ask("POST", "/invocations", body, user_agent=program)
    assert answer.body in (
        b'{"predictions": ["game"]}' + end,
        b'{"predictions": ["process"]}' + end,
    )
    assert answer.headers["x-hotserve-lane"] == ("fast" if body == b"halo" else "process")
    error = await worker.ask("GET", "/nowhere", user_agent=program)
    assert error.body.endswith(b"}" + end)
    # Never two.
    ping = await worker.ask("GET", "/ping", user_agent=program)
    assert ping.body == b"\n"


async def test_which_words_decided() -> None:
    worker = FrontWorker()
    answer = await worker.ask("POST", "/explain", b'{"inputs": ["halo", "n\\u00e3o"]}')
    assert (answer.status, answer.headers["x-model-version"]) == (200, "7")
    first, second = answer.json()["explanations"]
    assert first == {
        "category": "game",
        "runner_up": "livro",
        "margin": 2.5,
        "start": 0.5,
        "terms": [{"term": "halo", "count": 1, "weight": 2.0}],
    }
    assert second["terms"] == [{"term": "não", "count": 1, "weight": None}]
    assert worker.counters.take()["other_requests"] == [["/explain", 200, 1]]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"halo", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b'["halo"]', 400, "send a list of texts"),
        (b'{"inputs": "halo"}', 400, "send a list of texts"),
        (b'{"inputs": ["halo", 7]}', 400, "send a list of texts"),
        (b'{"inputs": []}', 400, "send 1 to 16 texts"),
        (b'{"inputs": [' + b'"a", ' * 16 + b'"a"]}', 413, "send 1 to 16 texts"),
        (b'{"inputs": ["' + b"a" * 20_001 + b'"]}', 413, "20000 characters"),
    ],
)
async def test_a_text_that_can_not_be_explained(body: bytes, status: int, message: str) -> None:
    answer = await FrontWorker().ask("POST", "/explain", body)
    assert answer.status == status
    assert message in answer.message


async def test_no_lane_explains_nothing() -> None:
    answer = await FrontWorker(lane=False).ask("POST", "/explain", b'{"inputs": ["halo"]}')
    assert answer.status == 404
    assert "the fast lane is not open" in answer.message


async def test_the_description_speaks_the_readers_language() -> None:
    worker = FrontWorker()

    async def language(path: str, **headers: str) -> bytes:
        answer = await worker.ask("GET", path, **headers)
        assert (answer.status, answer.headers["vary"]) == (200, "Accept-Language")
        return answer.body.partition(b"<html lang=")[2].partition(b">")[0]

    assert await language("/docs") == b'"en"'
    assert await language("/docs/", accept_language="pt-BR,pt;q=0.9,en;q=0.8") == b'"pt-BR"'
    assert await language("/docs", accept_language="en-GB,pt;q=0.9") == b'"en"'
    assert await language("/docs?lang=en", accept_language="pt") == b'"en"'
    assert await language("/docs?lang=pt-BR", accept_language="de") == b'"pt-BR"'


async def test_what_the_small_paths_say() -> None:
    worker = FrontWorker()
    worker.serve(worker.serving.now().change.target, None, name="m", note="não \ud800")
    model = await worker.ask("GET", "/model")
    assert model.json() == {"name": "m", "note": "não ?"}
    assert "não".encode() in model.body
    assert (await worker.ask("GET", "/version")).body == b"3.17"
    assert (await worker.ask("GET", "/ping")).body == b"\n"
    metrics = await worker.ask("GET", "/metrics", accept="text/html")
    assert metrics.body == b"text/html"
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4"


@pytest.mark.parametrize("path", [*PRIVATE, PREDICTIONS, "/explain", "/nowhere", "/invocations/"])
async def test_who_has_no_token_learns_nothing(path: str) -> None:
    worker = FrontWorker(tokens={"abre-te": "ana"})
    for method in ("GET", "POST", "OPTIONS"):
        answer = await worker.ask(method, path, b"halo")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert (await worker.ask(method, path, b"halo", authorization=TOKEN)).status != 401
    assert worker.process.sent == []


@pytest.mark.parametrize("path", PUBLIC)
async def test_what_needs_no_token(path: str) -> None:
    assert (await FrontWorker(tokens={"abre-te": "ana"}).ask("GET", path)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/invocations", 405, "POST"),
        ("PUT", "/invocations/", 405, "POST"),
        ("POST", "/ping", 405, "GET, HEAD"),
        ("OPTIONS", "/page/page.js", 405, "GET, HEAD"),
        ("GET", "/nowhere", 404, None),
        ("POST", "/ping//", 404, None),
    ],
)
async def test_what_is_not_there(method: str, path: str, status: int, allowed: str | None) -> None:
    worker = FrontWorker()
    answer = await worker.ask(method, path)
    assert answer.status == status
    assert answer.headers.get("allow") == allowed
    assert (allowed or "/invocations, /ping, /health") in answer.message
    report = worker.counters.take()
    if "invocations" in path:
        assert report["requests"] == [[405, "none", "", 1]]
    else:
        assert report["other_requests"][0][1:] == [status, 1]
    assert [line["status"] for line in worker.logged()] == [status]


async def test_nothing_to_serve_yet() -> None:
    worker = FrontWorker(lane=False, tokens={"abre-te": "ana"})
    worker.serve(None, None, message="no such model: segredo", retry_after=2.5)
    for method, path in (("GET", "/ping"), ("POST", "/invocations"), ("GET", "/version")):
        answer = await worker.ask(method, path, b"halo", authorization=TOKEN)
        assert (answer.status, answer.headers["retry-after"]) == (503, "3")
        assert answer.message == "no such model: segredo"
    answer = await worker.ask("GET", "/ping")
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert "segredo" not in answer.message
    assert "/model says why" in answer.message
    worker.serve(None, None)
    assert (await worker.ask("GET", "/ping", authorization=TOKEN)).message == "starting"


async def test_an_open_lane_answers_before_its_process_is_up() -> None:
    worker = FrontWorker()
    worker.serve(None, worker.serving.now().lane)  # type: ignore[arg-type]
    assert (await worker.ask("GET", "/ping")).status == 200
    assert (await worker.ask("GET", "/version")).body == b"3.17"
    assert (await worker.ask("POST", "/invocations", b"halo")).status == 200
    assert (await worker.ask("POST", "/invocations", b"boneca")).status == 503


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"content_type": ""}, "send a Content-Type"),
        ({"content_encoding": "gzip"}, "content-encoding: send the body as it is"),
        ({"content_type": "multipart/form-data; boundary=x"}, "--data-binary @"),
        ({"content_type": "text/csv; boundary=----x"}, "a form is not read"),
        ({"content_type": "Application/X-WWW-Form-Urlencoded"}, "a form is not read"),
    ],
)
async def test_a_body_that_is_not_taken(headers: dict[str, str], message: str) -> None:
    worker = FrontWorker()
    answer = await worker.ask("POST", "/invocations", b"halo", **headers)
    assert answer.status == 415
    assert message in answer.message
    assert worker.counters.take()["requests"] == [[415, "none", "", 1]]


async def test_of_several_content_types_the_first_one_counts() -> None:
    worker = FrontWorker()
    data = request(body=b"halo", content_type="text/csv\r\ncontent-type: application/json", x="y")
    for each in (data, data.replace(b"x: y", b"expect: y")):
        assert (await worker.connect().ask(each)).headers["x-hotserve-lane"] == "fast"


@pytest.mark.parametrize("chunk", [None, 50_000, 200_000])
async def test_a_body_may_be_as_long_as_is_said(chunk: int | None) -> None:
    worker = FrontWorker(max_body=100_000)

    async def post(size: int) -> Received:
        if chunk is None:
            return await worker.ask("POST", "/invocations", b"a" * size)
        head = request(content_length="", transfer_encoding="chunked")
        parts = [b"a" * min(chunk, size - start) for start in range(0, size, chunk)]
        chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
        if len(chunks) == 1:
            return await worker.connect().ask(head + chunks[0] + b"0\r\n\r\n")
        connection = worker.connect().send(head)
        for each in chunks:
            connection.send(each)
            await settle()
        return await connection.send(b"0\r\n\r\n").answer()

    assert (await post(100_000)).status == 200
    answer = await post(100_001)
    assert answer.status == 413
    assert "100000 bytes" in answer.message


async def test_requests_beyond_the_limit_are_refused() -> None:
    worker = FrontWorker(max_requests=2)
    worker.process.gate.clear()
    waiting = [worker.connect().send(request(body=b"boneca")) for _ in range(2)]
    await until(lambda: len(worker.process.sent) == 2)
    answer = await worker.ask("POST", "/invocations", b"boneca")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "2 requests are under way" in answer.message
    # What the lane answers needs no room, whichever way it comes.
    for way in ({}, {"expect": "nothing"}):
        assert (await worker.ask("POST", "/invocations", b"halo", **way)).status == 200
    assert worker.counters.take()["in_flight"] == 2
    worker.process.gate.set()
    for connection in waiting:
        assert (await connection.answer()).status == 200
    assert (await worker.ask("POST", "/invocations", b"boneca")).status == 200


@pytest.mark.parametrize("first", [None, 1_000], ids=["at once", "in two parts"])
async def test_bodies_that_are_too_much_together_are_refused(first: int | None) -> None:
    worker = FrontWorker(max_body=100_000, max_requests=20)
    worker.process.gate.clear()
    large = request(body=b"boneca" * 16_000)
    waiting = [worker.connect().send(large[:first]) for _ in range(BODIES)]
    if first:
        await settle()
        for connection in waiting:
            connection.send(large[first:])
    await until(lambda: len(worker.process.sent) == BODIES)
    answer = await worker.connect().ask(large)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    worker.process.gate.set()
    for connection in waiting:
        assert (await connection.answer()).status == 200
    assert (await worker.connect().ask(large)).status == 200


async def test_a_stop_answers_what_takes_too_long() -> None:
    worker = FrontWorker()
    worker.process.gate.clear()
    connection = worker.connect().send(request(body=b"boneca"))
    await until(lambda: worker.process.sent)
    for task in worker.state.tasks:
        task.cancel()
    answer = await connection.answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.message == "hotserve is stopping"
    assert worker.counters.take()["requests"] == [[503, "none", "", 1]]


async def test_a_fault_is_reported_and_says_nothing_to_the_client() -> None:
    async def fails(_: str) -> tuple[str, bytes]:
        raise ZeroDivisionError("segredo")

    worker = FrontWorker(metrics=fails)
    answer = await worker.ask("GET", "/metrics")
    assert (answer.status, answer.message) == (500, "a fault of hotserve; its log says where")
    assert len(worker.faults) == 1
    assert worker.faults[0].startswith("a fault of hotserve: ZeroDivisionError in test_app.py line")
    assert worker.faults[0].endswith(", GET /metrics")


async def test_a_manager_that_gives_no_metrics() -> None:
    async def late(_: str) -> tuple[str, bytes]:
        raise TimeoutError

    answer = await FrontWorker(metrics=late).ask("GET", "/metrics")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


async def test_an_answer_of_the_process_is_handed_on() -> None:
    worker = FrontWorker()
    worker.process.answer = Answer(200, [JSON, (b"x-own", b"y")], b'{"predictions": ["livro"]}')
    answer = await worker.ask("POST", "/invocations", b"dom casmurro")
    assert answer.body == b'{"predictions": ["livro"]}'
    assert answer.headers["x-own"] == "y"
    assert answer.headers["x-model-version"] == "7"
    assert answer.headers["x-hotserve-lane"] == "process"
    report = worker.counters.take()
    assert report["requests"] == [[200, "process", "7", 1]]
    assert report["products"] == [["7", "livro", 1]]
    [line] = worker.logged()
    assert (line["lane"], line["version"], line["bytes"]) == ("process", "7", len(answer.body))


async def test_an_error_of_the_process_is_safe_to_hand_on() -> None:
    worker = FrontWorker()
    worker.process.answer = Answer(
        400,
        [(b"content-type", b"text/plain"), (b"x-own", b"y")],
        json.dumps(
            {
                "message": "unexpected error while evaluating the model in /srv/private/x",
                "stack_trace": "Traceback\nValueError: segredo",
            }
        ).encode(),
    )
    answer = await worker.ask("POST", "/invocations", b"boneca")
    assert answer.status == 400
    assert "model in …\n" in answer.message
    assert "segredo" not in answer.message
    assert answer.headers["x-own"] == "y"
    assert worker.faults == ["the model failed (version 7):\nTraceback\nValueError: segredo"]
    assert worker.counters.take()["requests"] == [[400, "process", "7", 1]]


@pytest.mark.parametrize(
    ("body", "status"), [(b'{"inputs": ["a"]}', 500), (b"[" * 100_000, 400), (b"[1", 400)]
)
async def test_a_500_is_the_clients_fault_only_if_its_json_is(body: bytes, status: int) -> None:
    worker = FrontWorker(max_body=1 << 20)
    worker.process.answer = Answer(500, [], b"Internal Server Error")
    answer = await worker.ask("POST", "/invocations", body, content_type="application/json")
    assert answer.status == status


async def test_a_page_that_the_browser_has_is_not_sent_again() -> None:
    worker = FrontWorker()
    first = await worker.ask("GET", "/")
    assert first.headers["cache-control"] == "no-cache"
    assert "require-trusted-types-for" in first.headers["content-security-policy"]
    for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
        again = await worker.ask("GET", "/", if_none_match=known)
        assert (again.status, again.body) == (304, b"")
        assert "content-length" not in again.headers
        assert again.headers["etag"] == first.headers["etag"]
    assert (await worker.ask("GET", "/", if_none_match='"other"')).status == 200


SHOP = "https://shop.example"
PREFLIGHT = {"access_control_request_method": "POST"}


async def test_without_origins_no_page_of_another_is_let_in() -> None:
    worker = FrontWorker()
    for method in ("OPTIONS", "POST"):
        answer = await worker.ask(method, "/invocations", b"halo", origin=SHOP, **PREFLIGHT)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.status == (405 if method == "OPTIONS" else 200)


@pytest.mark.parametrize("origins", [[SHOP], ["https://other.example", SHOP], ["*"]])
async def test_a_page_of_an_origin_that_is_named_may_ask(origins: list[str]) -> None:
    worker = FrontWorker(origins=origins, tokens={"abre-te": "ana"})
    preflight = await worker.ask("OPTIONS", "/invocations", origin=SHOP, **PREFLIGHT)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == SHOP
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "Authorization, Content-Type"
    for headers, body, status, lane in (
        ({"authorization": TOKEN}, b"halo", 200, "fast"),
        ({"authorization": TOKEN}, b"boneca", 200, "process"),
        ({}, b"halo", 401, None),
        ({"authorization": TOKEN, "content_type": ""}, b"halo", 415, None),
        ({"authorization": TOKEN, **{f"x{n}": "y" for n in range(99)}}, b"halo", 431, None),
    ):
        answer = await worker.ask("POST", "/invocations", body, origin=SHOP, **headers)
        assert (answer.status, answer.headers.get("x-hotserve-lane")) == (status, lane)
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "X-Model-Version" in answer.headers["access-control-expose-headers"]
    # Who is no page of another origin is answered as ever.
    plain = await worker.ask("POST", "/invocations", b"halo", authorization=TOKEN)
    assert "access-control-allow-origin" not in plain.headers


async def test_a_page_of_another_origin_is_not_let_in() -> None:
    worker = FrontWorker(origins=[SHOP])
    for origin in ("https://evil.example", SHOP + ".evil.example", "null"):
        preflight = await worker.ask("OPTIONS", "/invocations", origin=origin, **PREFLIGHT)
        assert preflight.status == 405
        answer = await worker.ask("POST", "/invocations", b"halo", origin=origin)
        assert "access-control-allow-origin" not in answer.headers
    # An OPTIONS that is no preflight.
    assert (await worker.ask("OPTIONS", "/invocations", origin=SHOP)).status == 405


async def test_what_is_under_way_is_known_to_the_serving() -> None:
    worker = FrontWorker()
    idle: list[int] = []
    worker.serving._on_idle = idle.append
    worker.process.gate.clear()
    connection = worker.connect().send(request(body=b"boneca"))
    await until(lambda: worker.process.sent)
    worker.serve(Target(2, 1, "8", "3.17", TextInput("texts")), None)
    await settle()
    assert idle == []
    worker.process.gate.set()
    assert (await connection.answer()).headers["x-model-version"] == "7"
    assert idle == [1]


async def test_a_large_body_that_takes_the_lane_too_long(monkeypatch: Any) -> None:
    worker = FrontWorker(max_body=4 << 20)
    worker.process.timeout = 0.01

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(worker.serving.now().lane, "answer", never)
    connection = worker.connect().send(request(body=b"a" * (2 << 20)), 60_000)
    while not connection.received():
        await asyncio.sleep(0.001)
    answer = await connection.answer()
    assert (answer.status, answer.message) == (504, "so large a body can't be answered in time")


async def test_a_process_that_sleeps_is_service() -> None:
    worker = FrontWorker(lane=False)
    target = worker.serving.now().change.target
    worker.serve(None, None, asleep=True)
    assert (await worker.ask("GET", "/ping")).status == 200
    client = worker.connect().send(request(body=b"halo"))
    await settle()
    assert client.received() == []
    worker.serve(target, None)
    assert (await client.answer()).json() == {"predictions": ["process"]}
