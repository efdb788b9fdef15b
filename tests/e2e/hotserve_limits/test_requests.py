"""What is no HTTP and what is, and answers in the order of the requests."""

import pytest

from tests.e2e.hotserve_limits.by_hand import (
    CHUNKED,
    ENDS,
    FOR_THE_PROCESS,
    HEAD,
    WHOLE_IN_CHUNKS,
    is_error,
)
from tests.e2e.hotserve_process import Hotserve
from tests.e2e.raw_http import RawConnection, post


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


def test_of_several_content_types_the_first_one_counts(hotserve: Hotserve) -> None:
    one_more = "Content-Type: application/json", "Connection: close"
    for request in post(b"halo", one_more[0]), post(b"halo", *one_more):
        with RawConnection(hotserve.url) as connection:
            assert connection.send(request).answer().json() == {"predictions": ["game"]}


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


def test_both_ways_of_an_answer_have_the_same_headers(connection: RawConnection) -> None:
    at_once = connection.send(post(b"boneca")).answer()
    chunked = connection.send(CHUNKED + b"6\r\nboneca\r\n0\r\n\r\n").answer()
    at_once.headers.pop("date")
    chunked.headers.pop("date")
    assert at_once == chunked
    assert at_once.headers["x-hotserve-lane"] == "fast"
