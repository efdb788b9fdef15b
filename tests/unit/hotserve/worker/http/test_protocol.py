"""One connection: what is answered in which order, what is refused, and what it may take.

`test_uvicorn_versions` runs this file on the oldest and the newest uvicorn that hotserve allows.
"""

import asyncio

import pytest

from hotserve.worker.answer import Answer
from hotserve.worker.http import limits, protocol
from hotserve.worker.http.limits import (
    LINGER,
    MAX_AHEAD,
    MAX_HEAD,
    MAX_HEADERS,
    MAX_URL,
    SLOWEST,
)
from tests.unit.hotserve.worker.front_worker import (
    IDLE_TIMEOUT,
    READ_TIMEOUT,
    Connection,
    FrontWorker,
    request,
    settle,
    until,
)

pytestmark = pytest.mark.anyio

FAST = request(body=b"halo")
SLOW = request(body=b"boneca")
PING = request("GET", "/ping")
CHUNKED = request(content_length="", transfer_encoding="chunked")
HEAD = b"GET /ping HTTP/1.1\r\nHost: h\r\n"


async def refused(connection: Connection, status: int) -> str:
    """Wait for the error that ends the connection; its message."""
    await until(lambda: connection.is_ended)
    answer = (await connection.answers(1))[0]
    assert answer.status == status, answer
    assert answer.headers["connection"] == "close"
    return answer.message


async def test_requests_sent_together_are_answered_in_their_order() -> None:
    worker = FrontWorker()
    worker.process.gate.clear()
    connection = worker.connect().send(FAST + SLOW + FAST + PING + SLOW + FAST)
    await settle()
    # Nothing overtakes what the process still has to answer, and nothing more is read meanwhile.
    assert connection.lane == ["fast"]
    assert not connection.transport.is_read()
    worker.process.gate.set()
    await connection.answers(6)
    assert connection.lane == ["fast", "process", "fast", None, "process", "fast"]
    assert connection.transport.is_read()
    assert worker.state.total_requests == 6
    assert not connection.is_ended
    assert [line["lane"] for line in worker.logged()] == connection.lane


@pytest.mark.parametrize("sent", [FAST, SLOW, PING, PING.replace(b"ping", b"nothing")])
async def test_an_answer_is_one_packet(sent: bytes) -> None:
    connection = FrontWorker().connect().send(sent)
    await connection.answer()
    assert connection.transport.packets == 1


async def test_reading_goes_on_after_the_last_of_several_answers() -> None:
    connection = FrontWorker().connect().send(SLOW + PING)
    assert not connection.transport.is_read()
    await connection.answers(2)
    assert connection.transport.is_read()


async def test_a_connection_stays_open_for_the_next_request() -> None:
    connection = FrontWorker().connect()
    for data, lane in ((SLOW, "process"), (FAST, "fast"), (SLOW, "process"), (PING, None)):
        answer = await connection.ask(data)
        assert answer.status == 200
        assert answer.headers.get("x-hotserve-lane") == lane
        assert "connection" not in answer.headers
    assert not connection.is_ended


@pytest.mark.parametrize("packet", [1, 7, 60, 10_000])
async def test_packets_may_end_anywhere(packet: int) -> None:
    connection = FrontWorker().connect()
    chunked = CHUNKED + b"2\r\nha\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
    connection.send(FAST + SLOW + chunked + PING, packet)
    answers = await connection.answers(4)
    assert [answer.status for answer in answers] == [200] * 4
    assert connection.lane == ["fast", "process", "fast", None]


@pytest.mark.parametrize(
    ("version", "header"),
    [("1.0", "x"), ("1.1", "close"), ("1.0", "keep-alive"), ("1.1", "x, close")],
)
async def test_a_connection_that_is_to_end_ends_after_the_answer(version: str, header: str) -> None:
    data = request(body=b"halo", connection=header).replace(b"1.1", version.encode(), 1)
    connection = FrontWorker().connect()
    answer = await connection.ask(data)
    assert answer.json() == {"predictions": ["game"]}
    assert answer.headers["connection"] == "close"
    assert connection.is_closed


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    connection = FrontWorker().connect()
    connection.send(request(content_length="4", expect="100-continue"))
    assert (await connection.answer()).status == 100
    connection.send(b"halo")
    answers = await connection.answers(2)
    assert answers[1].json() == {"predictions": ["game"]}
    assert not connection.is_ended


async def test_a_client_that_asks_first_and_is_refused_is_not_waited_for() -> None:
    connection = FrontWorker(max_body=10).connect()
    connection.send(request(content_length="11", expect="100-continue"))
    assert (await connection.answer()).status == 413
    assert connection.is_closed


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"\x00\x01garbage\r\n\r\n", 400, "no HTTP/1.1 request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400, "not HTTPS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "not HTTP/2"),
        (b"GET /ping HTTP/2.0\r\nHost: h\r\n\r\n", 400, "not HTTP/2.0"),
        (b"GET /ping HTTP/0.9\r\nHost: h\r\n\r\n", 400, "not HTTP/0.9"),
        (b"GET /ping HTTP/1.1\r\n\r\n", 400, "one Host header, not none"),
        (HEAD + b"Host: h\r\n\r\n", 400, "one Host header, not 2"),
        (request(host=""), 400, "one Host header, not none"),
        (request(body=b"halo", host="h\r\nHost: h"), 400, "one Host header, not 2"),
        (b"GET http://[::1/ping HTTP/1.1\r\nHost: h\r\n\r\n", 400, "address of the request"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405, "CONNECT is for proxies"),
        (HEAD + b"X: y\r\n" * MAX_HEADERS + b"\r\n", 431, f"more than {MAX_HEADERS}"),
        (HEAD + b"X: " + b"y" * (MAX_HEAD + 1000), 431, f"longer than {MAX_HEAD}"),
        (b"GET /" + b"a" * MAX_URL + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, f"{MAX_URL} bytes"),
        (b"GET /" + b"a" * (MAX_HEAD + 1000), 414, f"longer than {MAX_URL} bytes"),
    ],
)
@pytest.mark.parametrize("packet", [None, 1000])
async def test_what_is_refused(data: bytes, status: int, message: str, packet: int | None) -> None:
    worker = FrontWorker()
    connection = worker.connect().send(data, packet)
    assert message in await refused(connection, status)
    assert worker.counters.take()["other_requests"] == [["none", status, 1]]
    [line] = worker.logged()
    size = len(connection.received()[0].body)
    assert (line["status"], line["method"], line["bytes"]) == (status, None, size)
    # What follows is thrown away.
    connection.send(PING)
    assert await connection.answer()


async def test_a_request_of_http_1_0_needs_no_host() -> None:
    assert (await FrontWorker().connect().ask(b"GET /ping HTTP/1.0\r\n\r\n")).status == 200


def head_of(size: int) -> bytes:
    """A request with a head of so many bytes."""
    head = HEAD + b"X: "
    return head + b"y" * (size - len(head) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("before", [b"", FAST, SLOW, PING * 2])
@pytest.mark.parametrize("packet", [None, 20_000, MAX_HEAD + 100])
async def test_a_head_may_be_as_long_as_is_said(before: bytes, packet: int | None) -> None:
    count = len([part for part in (before,) if part]) + (before == PING * 2)
    connection = FrontWorker().connect().send(before + head_of(MAX_HEAD), packet)
    assert {answer.status for answer in await connection.answers(count + 1)} == {200}
    connection = FrontWorker().connect().send(before + head_of(MAX_HEAD + 1), packet)
    await until(lambda: connection.is_ended)
    assert (await connection.answers(count + 1))[-1].status == 431


async def test_a_head_of_the_fast_path_may_be_no_longer() -> None:
    filler = "y" * MAX_HEAD
    connection = FrontWorker().connect()
    # The packet begins with the end of another request.
    connection.send(SLOW[:-1])
    connection.send(SLOW[-1:] + request(body=b"halo", x=filler))
    assert [answer.status for answer in await connection.answers(2)] == [200, 431]


async def test_as_many_headers_and_as_long_an_address_as_is_said() -> None:
    connection = FrontWorker().connect()
    assert (await connection.ask(HEAD + b"X: y\r\n" * (MAX_HEADERS - 1) + b"\r\n")).status == 200
    address = b"/ping?" + b"a" * (MAX_URL - 6)
    answer = await connection.ask(b"GET " + address + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.status == 200


async def test_requests_sent_ahead_of_the_answers() -> None:
    worker = FrontWorker()
    worker.process.gate.clear()
    connection = worker.connect().send(SLOW + PING * (MAX_AHEAD + 1))
    await settle()
    assert connection.received() == []
    worker.process.gate.set()
    answers = await connection.answers(MAX_AHEAD + 2)
    assert {answer.status for answer in answers[:-1]} == {200}
    assert answers[-1].status == 503
    assert answers[-1].headers["retry-after"] == "1"
    assert "sent ahead" in answers[-1].message
    assert connection.is_ended


@pytest.mark.parametrize(
    "rest",
    [
        b"0\r\nX: " + b"y" * 2 * MAX_HEAD,
        b"0\r\n" + b"X: y\r\n" * MAX_HEAD,
        b"4;" + b"y" * 2 * MAX_HEAD,
    ],
    ids=["trailer", "trailers", "extension"],
)
async def test_what_is_no_body_has_an_end_too(rest: bytes) -> None:
    worker = FrontWorker()
    connection = worker.connect().send(CHUNKED + b"4\r\nhalo\r\n" + rest, 8000)
    assert "chunk extensions or trailers" in await refused(connection, 431)
    await settle()
    report = worker.counters.take()
    assert report["other_requests"] == [["none", 431, 1]]
    assert report["requests"] == [[499, "none", "", 1]]
    assert [line["status"] for line in worker.logged()] == [431]


async def test_a_body_that_is_broken_ends_its_request() -> None:
    connection = FrontWorker().connect().send(CHUNKED + b"zz\r\nhalo")
    assert "no HTTP/1.1 request" in await refused(connection, 400)


async def test_trailers_are_no_headers() -> None:
    connection = FrontWorker().connect()
    trailers = b"Content-Encoding: gzip\r\n" + b"X: a\r\n" * 2 * MAX_HEADERS
    for _ in range(2):
        data = CHUNKED + b"4\r\nhalo\r\n0\r\n" + trailers + b"\r\n"
        assert (await connection.ask(data)).json() == {"predictions": ["game"]}


async def test_a_change_to_another_protocol_is_not_made() -> None:
    connection = FrontWorker().connect()
    for body, lane in ((b"halo", "fast"), (b"boneca", "process")):
        answer = await connection.ask(
            request(body=body, connection="Upgrade, HTTP2-Settings", upgrade="h2c")
        )
        assert (answer.status, answer.headers["x-hotserve-lane"]) == (200, lane)


async def test_a_client_that_has_said_all_gets_its_answer() -> None:
    connection = FrontWorker().connect().send(SLOW)
    assert connection.protocol.eof_received()
    assert (await connection.answer()).headers["connection"] == "close"
    assert connection.is_closed
    assert not FrontWorker().connect().send(SLOW[:-1]).protocol.eof_received()


async def test_a_client_that_goes_away_in_its_body_is_counted() -> None:
    worker = FrontWorker()
    connection = worker.connect().send(CHUNKED + b"2\r\nha\r\n")
    await settle()
    connection.transport.close()
    await settle()
    assert worker.counters.take()["requests"] == [[499, "none", "", 1]]
    assert [line["status"] for line in worker.logged()] == [499]


class Clock:
    """Looks at one connection at times of its own."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.now = 1000.0
        self.after(0.0)

    def after(self, seconds: float) -> None:
        self.now += seconds
        protocol.check_timeouts([self.connection.protocol, object()], self.now)


async def test_an_idle_connection_is_closed() -> None:
    for data in (b"", FAST, PING):
        connection = FrontWorker().connect()
        if data:
            await connection.ask(data)
        clock = Clock(connection)
        clock.after(IDLE_TIMEOUT)
        assert not connection.is_ended
        clock.after(0.1)
        assert connection.is_closed


async def test_a_request_starts_the_time_of_an_idle_connection_over() -> None:
    connection = FrontWorker().connect()
    clock = Clock(connection)
    clock.after(IDLE_TIMEOUT)
    await connection.ask(FAST)
    clock.after(1)
    clock.after(IDLE_TIMEOUT)
    assert not connection.is_ended


async def test_a_head_that_comes_too_slowly() -> None:
    connection = FrontWorker().connect().send(HEAD)
    clock = Clock(connection)
    clock.after(READ_TIMEOUT)
    connection.send(b"X")
    assert not connection.is_ended
    clock.after(0.1)
    assert f"more than {READ_TIMEOUT:g} s" in await refused(connection, 408)
    # For a moment it goes on reading, so that the answer is seen.
    assert not connection.is_closed
    clock.after(0)
    clock.after(LINGER)
    assert not connection.is_closed
    clock.after(0.1)
    assert connection.transport.is_aborted


async def test_a_body_that_comes_too_slowly() -> None:
    connection = FrontWorker().connect()
    connection.send(request(content_length=str(80_000)))
    clock = Clock(connection)
    connection.send(b"a" * SLOWEST)
    clock.after(READ_TIMEOUT + 1)
    assert not connection.is_ended
    clock.after(0.1)
    assert "the body came too slowly" in await refused(connection, 408)


async def test_a_client_is_not_late_while_nothing_is_read() -> None:
    connection = FrontWorker().connect()
    connection.send(request(content_length=str(90_000)) + b"a" * 80_000)
    clock = Clock(connection)
    assert not connection.transport.is_read()
    clock.after(10 * READ_TIMEOUT)
    assert not connection.is_ended


async def test_a_client_that_reads_nothing() -> None:
    connection = FrontWorker().connect()
    clock = Clock(connection)
    connection.transport.unsent = 100
    clock.after(1)
    clock.after(READ_TIMEOUT)
    connection.transport.unsent = 90
    clock.after(1)
    clock.after(READ_TIMEOUT)
    assert not connection.is_closed
    clock.after(0.1)
    assert connection.transport.is_aborted


async def test_an_idle_connection_makes_room() -> None:
    worker = FrontWorker(connections=2)
    busy, idle = worker.connect().send(HEAD), worker.connect()
    new = worker.connect()
    assert idle.is_closed
    assert not busy.is_closed
    assert (await new.ask(PING)).status == 200


async def test_connections_that_are_all_in_use() -> None:
    worker = FrontWorker(connections=1)
    busy = worker.connect().send(HEAD)
    answer = await worker.connect().answer()
    assert (answer.status, answer.message) == (503, "too many connections are open")
    assert answer.headers["retry-after"] == "1"
    busy.send(b"\r\n")
    assert (await busy.answer()).status == 200


@pytest.mark.parametrize("data", [FAST, SLOW, PING])
async def test_a_worker_that_stops_answers_what_is_on_its_way(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LAST_REQUEST", 1000)
    connection = FrontWorker().connect()
    await connection.ask(data)
    connection.protocol.shutdown()
    assert not connection.is_ended
    answer = await connection.ask(data)
    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    assert connection.is_closed


async def test_a_worker_that_stops_finishes_what_it_has_begun() -> None:
    worker = FrontWorker()
    worker.process.gate.clear()
    connection = worker.connect().send(SLOW + FAST)
    await settle()
    connection.protocol.shutdown()
    worker.process.gate.set()
    first, last = await connection.answers(2)
    assert "connection" not in first.headers
    assert last.headers["connection"] == "close"
    assert connection.is_closed


async def test_a_worker_that_stops_does_not_wait_for_idle_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "LAST_REQUEST", 0.001)
    worker = FrontWorker()
    connections = [worker.connect(), worker.connect().send(HEAD)]
    for connection in connections:
        connection.protocol.shutdown()
    await asyncio.sleep(0.01)
    await until(lambda: all(connection.is_closed for connection in connections))
    # One that ended with an error is not waited for, either.
    ended = worker.connect().send(b"garbage\r\n\r\n")
    ended.protocol.shutdown()
    assert ended.is_closed


async def test_a_worker_that_stops_leaves_a_late_answer_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "LAST_REQUEST", 0.001)
    worker = FrontWorker()
    connection = worker.connect()
    connection.protocol.shutdown()
    worker.process.gate.clear()
    connection.send(SLOW)
    await asyncio.sleep(0.01)
    assert not connection.is_ended
    worker.process.answer = Answer(200, [], b"late")
    worker.process.gate.set()
    assert (await connection.answer()).body == b"late"
