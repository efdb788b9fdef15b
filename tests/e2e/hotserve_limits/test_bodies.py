"""Bodies that are large, come in pieces, or do not come."""

import contextlib

import pytest

from tests.e2e.hotserve_limits.by_hand import BODY_LIMIT, CHUNKED, HEAD, WHOLE_IN_CHUNKS, is_error
from tests.e2e.hotserve_process import Hotserve, eventually
from tests.e2e.raw_http import RawConnection, post

JSON = "application/json"
CSV = "text/csv"


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
