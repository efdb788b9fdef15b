"""Connections that are idle, slow, too many, or to end."""

import contextlib

import pytest

from tests.e2e.hotserve_limits.by_hand import (
    CHUNKED,
    CONCURRENCY,
    CONNECTIONS,
    FOR_THE_PROCESS,
    HEAD,
    is_error,
)
from tests.e2e.hotserve_process import Hotserve, eventually
from tests.e2e.raw_http import RawConnection, post


def test_an_upgrade_is_not_made_and_the_connection_stays(connection: RawConnection) -> None:
    for _ in range(2):
        connection.send(post(b"halo", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"))
        assert connection.answer().json() == {"predictions": ["game"]}


def test_an_answer_is_sent_to_a_client_that_has_said_all(connection: RawConnection) -> None:
    assert connection.send(post(b"halo")).end().answer().json() == {"predictions": ["game"]}
    assert connection.is_closed()


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
