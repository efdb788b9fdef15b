"""What is answered inside the parser's callbacks, and what goes the way of other requests."""

from typing import Any

import pytest

from hotserve.config.tokens import Client
from hotserve.worker.http import fast_path
from hotserve.worker.http.fast_path import LONGEST_BODY
from hotserve.worker.model_paths import Model
from tests.unit.hotserve.worker.front_worker import (
    DATE,
    Connection,
    FrontWorker,
    Lane,
    request,
    settle,
    until,
)

pytestmark = pytest.mark.anyio

FAST = request(body=b"halo")


def at_once(connection: Connection, data: bytes) -> bool:
    """Whether the answer is there before the loop goes on."""
    before = len(connection.received())
    return len(connection.send(data).received()) > before


async def test_both_ways_have_the_same_answer() -> None:
    worker = FrontWorker()
    connection = worker.connect()
    assert at_once(connection, FAST)
    other = await worker.ask("POST", "/invocations", b"halo", x_slow="y", expect="no")
    [answer] = connection.received()
    assert answer == other
    assert answer.body == b'{"predictions": ["game"]}'
    assert answer.headers == {
        "date": DATE[1].decode(),
        "content-type": "application/json",
        "x-model-version": "7",
        "x-hotserve-lane": "fast",
        "content-length": "25",
    }


async def test_the_date_is_the_servers() -> None:
    worker = FrontWorker()
    connection = worker.connect().send(FAST)
    worker.state.default_headers = [(b"date", b"later")]
    connection.send(FAST)
    dates = [answer.headers["date"] for answer in connection.received()]
    assert dates == [DATE[1].decode(), "later"]


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/invocations/"},
        {"path": "/invocations?x=y"},
        {"body": b"boneca"},
        {"body": b"halo" + b" " * LONGEST_BODY},
        {"content_type": "application/json"},
        {"connection": "close"},
        {"expect": "nothing"},
        {"content_encoding": "identity"},
    ],
)
async def test_what_is_not_for_the_fast_path(changed: dict[str, Any]) -> None:
    connection = FrontWorker().connect()
    assert not at_once(connection, request(**{"body": b"halo", **changed}))
    assert (await connection.answer()).status in (200, 400, 431)


async def test_a_request_without_a_length_is_not_for_the_fast_path() -> None:
    connection = FrontWorker().connect()
    assert not at_once(connection, request(content_length=""))
    assert "the body is empty" in (await connection.answer()).message


@pytest.mark.parametrize("headers", [50, 49])
async def test_many_headers_are_not_for_the_fast_path(headers: int) -> None:
    more = {f"x{number}": "y" for number in range(headers - 3)}
    assert at_once(FrontWorker().connect(), request(body=b"halo", **more))
    assert not at_once(FrontWorker().connect(), request(body=b"halo", a="", **more, b="c", d="e"))


async def test_a_body_may_be_as_long_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_path, "LONGEST_BODY", 4)
    assert at_once(FrontWorker().connect(), FAST)
    monkeypatch.setattr(fast_path, "LONGEST_BODY", 3)
    assert not at_once(FrontWorker().connect(), FAST)


async def test_without_a_lane_the_process_answers() -> None:
    worker = FrontWorker(lane=False)
    connection = worker.connect()
    assert not at_once(connection, FAST)
    await connection.answer()
    assert connection.lane == ["process"]
    assert worker.process.sent == [(b"application/json", b'{"inputs": ["halo"]}')]


async def test_a_lane_that_closes_between_head_and_body() -> None:
    worker = FrontWorker()
    target = worker.serving.now().change.target
    connection = worker.connect()
    is_for_lane = connection.protocol._is_for_lane

    def close_lane(model: Model) -> bool:
        worker.serve(target, None)
        return is_for_lane(model)

    connection.protocol._is_for_lane = close_lane  # type: ignore[method-assign]
    assert not at_once(connection, FAST)
    await connection.answer()
    assert connection.lane == ["process"]


async def test_a_token_counts_here_too() -> None:
    worker = FrontWorker(tokens={"abre-te": "ana"})
    connection = worker.connect()
    assert not at_once(connection, FAST)
    assert (await connection.answer()).status == 401
    shown = request(body=b"halo", authorization="Bearer abre-te")
    assert at_once(connection, shown)
    assert worker.logged()[-1]["client_name"] == "ana"
    # What the lane leaves to the process is the same client's.
    connection.send(request(body=b"boneca", authorization="Bearer abre-te"))
    await connection.answers(3)
    assert worker.logged()[-1]["client_name"] == "ana"
    assert worker.counters.take()["client_requests"] == [["ana", 2]]
    worker.shared.auth.use({"outro": Client("bia")})
    connection.send(shown)
    assert (await connection.answers(4))[-1].status == 401
    assert worker.logged()[-1]["client_name"] is None
    assert "client_requests" not in worker.counters.take()


async def test_a_body_in_several_packets() -> None:
    connection = FrontWorker().connect().send(FAST[:-2])
    await settle()
    connection.send(FAST[-2:] + FAST)
    await connection.answers(2)
    assert connection.lane == ["fast", "fast"]
    # What began in one packet and did not end there, the application answered.
    assert not at_once(connection, FAST[:-1])
    connection.send(FAST[-1:])
    assert (await connection.answers(3))[2].json() == {"predictions": ["game"]}


async def test_a_client_that_does_not_read_is_waited_for() -> None:
    connection = FrontWorker().connect()
    connection.protocol.pause_writing()
    assert not at_once(connection, FAST)
    connection.protocol.resume_writing()
    assert (await connection.answer()).status == 200


async def test_a_fault_of_the_lane_is_reported_and_the_process_answers() -> None:
    worker = FrontWorker()
    for way in ({}, {"expect": "nothing"}):
        connection = worker.connect().send(request(body=b"fault", **way))
        await connection.answer()
        assert connection.lane == ["process"]
    # Once for each location, whichever way it was met.
    assert len(worker.faults) == 1
    assert worker.faults[0].startswith("a fault of hotserve: ZeroDivisionError in front_worker.py")


async def test_it_is_counted_and_logged_once() -> None:
    worker = FrontWorker()
    worker.connect().send(FAST + FAST)
    await settle()
    report = worker.counters.take()
    assert report["requests"] == [[200, "fast", "7", 2]]
    assert report["in_flight"] == 0
    buckets, seconds = report["latency"]["fast"]
    assert sum(buckets) == 2
    assert 0 < seconds < 10
    assert worker.state.total_requests == 2
    lines = worker.logged()
    assert len(lines) == 2
    assert lines[0].pop("time").endswith("Z")
    assert 0 < lines[0].pop("ms") < 10_000
    assert lines[0] == {
        "client": "127.0.0.1",
        "client_name": None,
        "method": "POST",
        "path": "/invocations",
        "status": 200,
        "bytes": 25,
        "lane": "fast",
        "version": "7",
    }


async def test_a_new_version_answers_from_its_first_moment() -> None:
    worker = FrontWorker()
    connection = worker.connect().send(FAST)
    lane = Lane()
    lane.headers[1] = (b"x-model-version", b"8")
    worker.serve(worker.serving.now().change.target, lane)
    connection.send(FAST)
    await until(lambda: len(connection.received()) == 2)
    versions = [answer.headers["x-model-version"] for answer in connection.received()]
    assert versions == ["7", "8"]
