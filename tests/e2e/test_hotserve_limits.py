"""What a client may not do to hotserve: each gets an error as JSON, and the others go on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hotserve_models import save, text_model
from tests.e2e.hotserve_process import PATIENCE, Hotserve, eventually, running_hotserve
from tests.e2e.raw_http import Answer, RawConnection, post

BODY_LIMIT = 8 << 20
CONNECTIONS = 20
CONCURRENCY = 6

JSON = "application/json"
CSV = "text/csv"
ENDS = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE_IN_CHUNKS = CHUNKED + b"4\r\nhalo\r\n0\r\n"
"""But for the line that ends it: trailers may follow."""
FOR_THE_PROCESS = b'{"inputs": ["halo%b"]}' % (b" " * 20_001)
"""A text that is too long for the lane."""


@contextlib.contextmanager
def limited(home: Path, *options: str) -> Iterator[Hotserve]:
    """With one worker, its lane open, and nothing more to find out."""
    folder = save(text_model(), home / "model")
    given = ("--workers", "1", *options)
    # For the process, too, a large body is a lot of work.
    more = ("--timeout", "30")
    with running_hotserve(folder, home, options=given, more=more) as server:
        server.wait_for_verdicts()
        assert server.model()["lane"]["state"] == "open"
        yield server


@pytest.fixture(scope="module")
def hotserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotserve]:
    """One that waits longer for its clients than any test takes."""
    limits = (
        *("--max-body", str(BODY_LIMIT), "--max-connections", str(CONNECTIONS)),
        *("--max-concurrency", str(CONCURRENCY)),
    )
    patience = ("--read-timeout", str(PATIENCE), "--idle-timeout", str(PATIENCE))
    with limited(tmp_path_factory.mktemp("limits"), *limits, *patience) as server:
        yield server


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotserve]:
    """One that does not."""
    patience = ("--read-timeout", "2", "--idle-timeout", "4")
    with limited(tmp_path_factory.mktemp("impatient"), *patience) as server:
        yield server


@pytest.fixture
def connection(hotserve: Hotserve) -> Iterator[RawConnection]:
    with RawConnection(hotserve.url) as connection:
        yield connection


@pytest.fixture(autouse=True)
def goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test the same worker answers, and the log has no word about it."""
    name = "impatient" if "impatient" in request.fixturenames else "hotserve"
    hotserve: Hotserve = request.getfixturevalue(name)
    worker = hotserve.workers()[0].pid
    log = hotserve.log.read_text()
    yield
    assert hotserve.predict("halo").json() == {"predictions": ["game"]}
    assert hotserve.workers()[0].pid == worker
    assert hotserve.log.read_text() == log


def is_error(answer: Answer, status: int) -> str:
    """Check that it is an error as the documentation describes it; returns its message."""
    assert answer.status == status, answer
    fields = answer.json()
    assert {"error_code", "message"} <= set(fields), fields
    assert "Traceback" not in str(fields)
    message: str = fields["message"]
    return message


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        pytest.param(400, b"\x00\x01\x02garbage\r\n\r\n", id="garbage"),
        pytest.param(400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, id="TLS"),
        pytest.param(400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(400, b"GET /ping HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(400, HEAD + b"Host: y\r\nContent-Length: 0\r\n\r\n", id="two hosts"),
        pytest.param(400, b"GET /ping HTTP/9.9\r\n\r\n", id="HTTP/9.9"),
        pytest.param(400, b"BREW /ping HTTP/1.1\r\n\r\n", id="unknown method"),
        pytest.param(405, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", id="CONNECT"),
        pytest.param(400, b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", id="path of bytes"),
        pytest.param(400, b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n", id="path with NUL"),
        pytest.param(400, b"GET http://[::1/ping HTTP/1.1\r\nHost: x\r\n\r\n", id="broken address"),
        pytest.param(400, b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", id="address without a path"),
        pytest.param(400, b"GET /ping HTTP/1.1\r\nX: a\x00b\r\n\r\n", id="header with NUL"),
        pytest.param(400, b"GET /ping HTTP/1.1\r\nX : a\r\n\r\n", id="space before colon"),
        pytest.param(400, b"GET /ping HTTP/1.1\r\nX\r\n\r\n", id="header without colon"),
        pytest.param(400, b"GET /ping HTTP/1.1\r\nX: a\r\n b\r\n\r\n", id="folded header"),
        pytest.param(400, b"GET /ping HTTP/1.1\nHost: x\n\n", id="bare line feeds"),
        pytest.param(400, HEAD + b"Content-Length: -5\r\n\r\n", id="negative length"),
        pytest.param(400, HEAD + b"Content-Length: +5\r\n\r\nabcde", id="length with sign"),
        pytest.param(400, HEAD + b"Content-Length: 0x5\r\n\r\nabcde", id="length in hex"),
        pytest.param(400, HEAD + b"Content-Length: \xd9\xa5\r\n\r\nabcde", id="Arabic digit"),
        pytest.param(400, HEAD + b"Content-Length: %d\r\n\r\n" % 10**30, id="huge length"),
        pytest.param(
            400, HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", id="two lengths"
        ),
        pytest.param(
            400,
            HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            id="length and chunks",
        ),
        pytest.param(
            400, HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="unknown coding"
        ),
        pytest.param(400, CHUNKED + b"zz\r\nhalo\r\n0\r\n\r\n", id="chunk without size"),
        pytest.param(400, CHUNKED + b"4\r\nhalo\r\nzz\r\n", id="second chunk without size"),
        pytest.param(400, CHUNKED + b"f" * 40 + b"\r\nhalo\r\n", id="chunk too large to count"),
        pytest.param(414, b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", id="long address"),
        pytest.param(414, b"GET /" + b"a" * 8_000_000, id="endless address"),
        pytest.param(431, b"GET /ping HTTP/1.1\r\n" + b"X: a\r\n" * 101 + b"\r\n", id="headers"),
        pytest.param(431, b"GET /ping HTTP/1.1\r\nX: " + b"a" * 40_000, id="long header"),
        pytest.param(431, b"GET /ping HTTP/1.1\r\nX: " + b"a" * 8_000_000, id="endless header"),
        pytest.param(431, b"GET /ping HTTP/1.1\r\n" + b"X: a\r\n" * 10**6, id="endless headers"),
        pytest.param(431, WHOLE_IN_CHUNKS + b"X: " + b"a" * 8_000_000, id="endless trailer"),
        pytest.param(431, WHOLE_IN_CHUNKS + b"X: a\r\n" * 10**6, id="endless trailers"),
        pytest.param(431, CHUNKED + b"4;" + b"a" * 8_000_000, id="endless chunk extension"),
    ],
)
def test_what_is_no_http_is_refused(
    connection: RawConnection, status: int, request_: bytes
) -> None:
    is_error(connection.send_what_goes(request_).answer(), status)
    assert connection.is_closed()


def test_a_client_of_another_protocol_is_told_so(connection: RawConnection) -> None:
    assert "not HTTPS" in is_error(connection.send(b"\x16\x03\x01\x00\xa5").answer(), 400)


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        pytest.param(200, b"GET /ping HTTP/1.0\r\n\r\n", id="HTTP/1.0"),
        pytest.param(200, b"\r\n\r\nGET /ping" + ENDS, id="blanks"),
        pytest.param(405, b"DELETE /invocations" + ENDS, id="DELETE"),
        pytest.param(405, b"TRACE /ping" + ENDS, id="TRACE"),
        pytest.param(404, b"OPTIONS *" + ENDS, id="OPTIONS *"),
        pytest.param(404, b"GET /%ff%00" + ENDS, id="odd path"),
        pytest.param(404, b"GET /page/../../etc/passwd" + ENDS, id="dots"),
        pytest.param(415, post(b"halo", "Content-Encoding: gzip", "Connection: close"), id="gzip"),
        pytest.param(
            415,
            HEAD + b"Connection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            id="gzip in chunks",
        ),
        pytest.param(
            200, post(b"halo", "Expect: something", "Connection: close"), id="odd expectation"
        ),
        pytest.param(
            200, post(b"halo", "Upgrade: websocket", "Connection: upgrade, close"), id="upgrade"
        ),
        pytest.param(200, post(b"halo", "X-Name: \xe7\xe3o", "Connection: close"), id="latin-1"),
    ],
)
def test_what_is_http_is_answered(connection: RawConnection, status: int, request_: bytes) -> None:
    answer = connection.send(request_).answer()
    if status >= 400:
        is_error(answer, status)
    assert answer.status == status


def test_an_upgrade_is_not_made_and_the_connection_stays(connection: RawConnection) -> None:
    for _ in range(2):
        connection.send(post(b"halo", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"))
        assert connection.answer().json() == {"predictions": ["game"]}


def test_requests_in_one_packet_are_answered_in_their_order(connection: RawConnection) -> None:
    texts = {b"halo": "game", b"boneca de pano": "brinquedo", b"dom casmurro": "livro"}
    connection.send(b"".join(map(post, texts)) + b"nonsense\r\n\r\n")
    for told in texts.values():
        assert connection.answer().json() == {"predictions": [told]}
    is_error(connection.answer(), 400)
    assert connection.is_closed()


def test_requests_far_ahead_of_the_answers_are_not_read(connection: RawConnection) -> None:
    connection.send_what_goes(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000)
    answered = 0
    while (answer := connection.answer()).status == 200:
        answered += 1
    assert 1 <= answered < 10_000
    assert "sent ahead" in is_error(answer, 503)


def test_an_answer_is_sent_to_a_client_that_has_said_all(connection: RawConnection) -> None:
    assert connection.send(post(b"halo")).end().answer().json() == {"predictions": ["game"]}
    assert connection.is_closed()


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(HEAD + b"Content-Length: %d\r\n\r\n" % 10**12, id="announced"),
        pytest.param(post(b"a" * (BODY_LIMIT + 1)), id="sent"),
        pytest.param(
            CHUNKED + b"10000\r\n%s\r\n" % (b"a" * 65536) * (BODY_LIMIT // 65536 + 1),
            id="in chunks",
        ),
        pytest.param(
            HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % 10**8, id="asked first"
        ),
    ],
)
def test_a_body_that_is_too_large(connection: RawConnection, request_: bytes) -> None:
    answer = connection.send_what_goes(request_).answer()
    assert str(BODY_LIMIT) in is_error(answer, 413)


def test_a_client_that_asks_first_is_told_to_go_on(connection: RawConnection) -> None:
    connection.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert connection.answer().status == 100
    assert connection.send(b"halo").answer().json() == {"predictions": ["game"]}


def test_trailers_are_no_headers(connection: RawConnection) -> None:
    trailers = b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n" + b"X: a\r\n" * 200
    for _ in range(2):
        answer = connection.send(WHOLE_IN_CHUNKS + trailers + b"\r\n").answer()
        assert answer.json() == {"predictions": ["game"]}


def test_many_small_chunks_are_one_body(connection: RawConnection) -> None:
    chunks = [b"%x;why=not\r\n%s\r\n" % (len(part), part) for part in [b"halo", b"\n"] * 20_000]
    answer = connection.send(CHUNKED + b"".join(chunks) + b"0\r\n\r\n").answer()
    assert answer.json() == {"predictions": ["game"] * 20_000}


def test_of_several_content_types_the_first_one_counts(hotserve: Hotserve) -> None:
    one_more = "Content-Type: application/json", "Connection: close"
    for request in post(b"halo", one_more[0]), post(b"halo", *one_more):
        with RawConnection(hotserve.url) as connection:
            assert connection.send(request).answer().json() == {"predictions": ["game"]}


def test_clients_that_stop_in_the_middle(impatient: Hotserve) -> None:
    halves = [
        b"POST /invocations HT",
        HEAD,
        HEAD + b"Content-Length: 100\r\n\r\nha",
        CHUNKED + b"4\r\nha",
    ]
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(RawConnection(impatient.url)).send(half) for half in halves]
        for connection in slow:
            is_error(connection.answer(), 408)
            assert connection.is_closed()


def test_a_client_that_sends_a_byte_now_and_then(impatient: Hotserve) -> None:
    with RawConnection(impatient.url) as head, RawConnection(impatient.url) as body:
        head.send(HEAD + b"X: ")
        body.send(HEAD + b"Content-Length: 100000\r\n\r\n")
        for slow in head, body:
            while not slow.is_answered():
                slow.send_what_goes(b"h")
                assert impatient.predict("halo").status_code == 200
            is_error(slow.answer(), 408)


def test_a_client_that_goes_away_in_the_middle(hotserve: Hotserve) -> None:
    for half in (b"POST /invocations HT", HEAD + b"Content-Length: 100\r\n\r\nha", CHUNKED):
        with RawConnection(hotserve.url) as connection:
            connection.send(half)


def test_an_idle_connection_is_closed(impatient: Hotserve) -> None:
    with RawConnection(impatient.url) as new, RawConnection(impatient.url) as used:
        used.send(post(b"halo"))
        assert used.answer().status == 200
        assert new.is_closed()
        assert used.is_closed()


def test_idle_connections_make_room_for_others(hotserve: Hotserve) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(RawConnection(hotserve.url)) for _ in range(3 * CONNECTIONS)]
        assert hotserve.predict("halo").json() == {"predictions": ["game"]}

        # Any of them may be the ones that had to go.
        def gone() -> list[RawConnection]:
            return [each for each in idle if each.is_answered()]

        eventually(lambda: len(gone()) >= 2 * CONNECTIONS, "they stay")
        assert all(each.is_closed() for each in gone())


def test_connections_that_are_all_in_use(hotserve: Hotserve) -> None:
    request = post(b"halo", "Connection: close")
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(RawConnection(hotserve.url)) for _ in range(CONNECTIONS)]
        for connection in busy:
            # What comes in one packet with a request that was answered has been read.
            connection.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" + request[:20])
            assert connection.answer().status == 200
        with RawConnection(hotserve.url) as one_more:
            answer = one_more.answer()
            is_error(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        for connection in busy:
            assert connection.send(request[20:]).answer().json() == {"predictions": ["game"]}
            assert connection.is_closed()


def test_requests_beyond_the_limit_are_refused_at_once(hotserve: Hotserve) -> None:
    json_head = HEAD.replace(b"text/csv", b"application/json")
    asked = json_head + b"Content-Length: %d\r\n\r\n%s" % (len(FOR_THE_PROCESS), FOR_THE_PROCESS)
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(RawConnection(hotserve.url)) for _ in range(CONCURRENCY)]
        for reader in readers:
            reader.send(HEAD + b"Content-Length: 4\r\n\r\nha")
        other = stack.enter_context(RawConnection(hotserve.url))
        # Until the last of the readers was read.
        eventually(lambda: other.send(asked).answer().status == 503, "nothing is refused")
        answer = other.send(asked).answer()
        assert f"{CONCURRENCY} requests" in is_error(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        # What the lane answers at once needs no room.
        assert other.send(post(b"halo")).answer().json() == {"predictions": ["game"]}
        for reader in readers:
            assert reader.send(b"lo").answer().json() == {"predictions": ["game"]}
        assert other.send(asked).answer().status != 503


def test_requests_sent_together_are_answered_in_order(connection: RawConnection) -> None:
    """What the lane answers at once must not overtake what takes the way of other requests."""
    json_head = HEAD.replace(b"text/csv", b"application/json")
    length = b"Content-Length: %d\r\n\r\n" % len(FOR_THE_PROCESS)
    forwarded = json_head + length + FOR_THE_PROCESS
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.send(
        post(b"halo") + forwarded + post(b"boneca") + ping + post(b"halo\nboneca") + post(b"rx")
    )
    answers = [connection.answer() for _ in range(6)]
    lanes = [answer.headers.get("x-hotserve-lane") for answer in answers]
    assert lanes == ["fast", "process", "fast", None, "fast", "fast"]
    bodies = [answers[place].json()["predictions"] for place in (0, 2, 4)]
    assert bodies == [["game"], ["brinquedo"], ["game", "brinquedo"]]


@pytest.mark.parametrize("cut", [1, 30, 60, -6, -4, -2, -1])
def test_a_request_may_come_in_two_packets(
    hotserve: Hotserve, connection: RawConnection, cut: int
) -> None:
    request = post(b"boneca")
    for _ in range(3):
        connection.send(request[:cut])
        # The first half is read when another connection was answered.
        assert hotserve.predict("halo").status_code == 200
        connection.send(request[cut:] + request)
        for _ in range(2):
            assert connection.answer().json() == {"predictions": ["brinquedo"]}


@pytest.mark.parametrize(
    ("version", "header"), [("1.0", "X: y"), ("1.1", "Connection: close"), ("1.0", "Connection: x")]
)
def test_a_connection_that_is_to_end_ends_after_the_answer(
    connection: RawConnection, version: str, header: str
) -> None:
    request = post(b"boneca", header).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    answer = connection.send(request).answer()
    assert answer.json() == {"predictions": ["brinquedo"]}
    assert answer.headers["connection"] == "close"
    assert connection.is_closed()


def test_both_ways_of_an_answer_have_the_same_headers(connection: RawConnection) -> None:
    at_once = connection.send(post(b"boneca")).answer()
    chunked = connection.send(CHUNKED + b"6\r\nboneca\r\n0\r\n\r\n").answer()
    at_once.headers.pop("date")
    chunked.headers.pop("date")
    assert at_once == chunked
    assert at_once.headers["x-hotserve-lane"] == "fast"


def test_a_body_that_finds_no_room_beside_others(hotserve: Hotserve) -> None:
    head = HEAD + b"Content-Length: %d\r\n\r\n" % BODY_LIMIT
    with contextlib.ExitStack() as stack:
        large = [stack.enter_context(RawConnection(hotserve.url)) for _ in range(5)]
        for connection in large:
            connection.send_what_goes(head + b"a" * (BODY_LIMIT - 1))
        # Whichever came last.
        eventually(lambda: any(each.is_answered() for each in large), "none is refused")
        refused = next(each for each in large if each.is_answered())
        assert "other large requests" in is_error(refused.answer(), 503)


def test_a_large_body_is_answered_as_a_small_one(hotserve: Hotserve) -> None:
    lines = ["halo", "boneca de pano", "dom casmurro"]
    small = hotserve.predict("\n".join(lines)).json()["predictions"]
    large = hotserve.predict("\n".join(lines * 60_000))
    assert large.headers["X-Hotserve-Lane"] == "fast"
    assert large.json()["predictions"] == small * 60_000
    table = "nome;descricao\n" + "boneca;de pano\nhalo;\n" * 60_000
    assert hotserve.predict(table).json()["predictions"] == ["brinquedo", "game"] * 60_000


LARGE = {
    "blank lines": (CSV, b"\n" * BODY_LIMIT),
    "blanks": (CSV, b" " * BODY_LIMIT),
    "one line": (CSV, b"a" * BODY_LIMIT),
    "a field for each byte": (CSV, b"nome,descricao\n" + b"," * (BODY_LIMIT - 15)),
    "a quote that stays open": (CSV, b'nome,descricao\n"' + b"a" * (BODY_LIMIT - 16)),
    "a line for each byte or two": (CSV, b"a\n" * 500_000),
    "NULs": (CSV, b"\0" * BODY_LIMIT),
    "columns": (CSV, b",".join(b"c%d" % n for n in range(10_000)) + b"\n1,2,3\n"),
    "brackets": (JSON, b"[" * BODY_LIMIT),
    "digits": (JSON, b'{"inputs": [' + b"1" * (BODY_LIMIT - 20) + b"]}"),
    "a text": (JSON, b'{"inputs": ["' + b"a" * (BODY_LIMIT - 20) + b'"]}'),
    "no Parquet": ("application/vnd.apache.parquet", b"PAR1" + b"\0" * (BODY_LIMIT - 4)),
}


def send_all_that_is_large(hotserve: Hotserve) -> None:
    for name, (kind, body) in LARGE.items():
        answer = hotserve.post(body, kind)
        assert answer.status_code < 500 or answer.status_code == 504, name
        if answer.status_code >= 400:
            assert len(answer.content) < 20_000, name
            assert set(answer.json()) >= {"error_code", "message"}, name


def test_memory_does_not_grow_with_large_and_broken_bodies(hotserve: Hotserve) -> None:
    worker = hotserve.workers()[0]
    # The first time threads and connections are made, which stay.
    send_all_that_is_large(hotserve)
    eventually(lambda: worker.memory_info().rss < 100 << 20, "a large body stays in memory")
    before = worker.memory_info().rss
    send_all_that_is_large(hotserve)
    eventually(lambda: worker.memory_info().rss < before + (20 << 20), "the memory grows")
