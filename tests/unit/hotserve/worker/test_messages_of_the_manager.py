"""What a front worker does with the manager's messages."""

import asyncio
import os
import resource
import time
from dataclasses import replace
from typing import Any

import pytest

from hotserve.config.tokens import Client
from hotserve.ipc.messages import (
    Acknowledge,
    Commit,
    Counts,
    InUse,
    LogError,
    Message,
    MetricsAnswer,
    Prepare,
    ReportCounts,
    Scrape,
    Stop,
    UseTokens,
    Wake,
)
from hotserve.ipc.shared_version import SharedVersion
from hotserve.lane import LaneError
from hotserve.worker import main
from hotserve.worker.admission import Admission
from hotserve.worker.auth import Auth
from hotserve.worker.counters import Counters
from hotserve.worker.model_paths import Model
from hotserve.worker.models import Models
from hotserve.worker.reporter import Reporter
from hotserve.worker.serving import Prepared, Serving
from hotserve.worker.upstream.client import UpstreamClient
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.samples import CONFIGURE, LANE, TARGET


class Worker:
    """A worker without its port; `sent` is what it sends to the manager."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.idle: list[int] = []
        self.shared = SharedVersion.create()
        self.counters = Counters()
        channel: Any = self
        self.serving = Serving(self.idle.append, lambda: self.send(Wake("produtos")), self.shared)
        self.models = Models("produtos", self._model)
        self.reporter = Reporter(self.models, channel)
        self.auth = Auth(None)
        self.inbox = main._Inbox(channel, self.models, self.reporter, self.auth)

    def _model(self, name: str) -> Model:
        nothing: Any = None
        upstream = UpstreamClient(nothing, self.serving, self.counters, nothing, nothing)
        return Model(name, upstream, Admission(10, 100))

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def serve(self, change: Prepare) -> None:
        self.inbox.take(change)
        self.shared.words[0] = change.number


@fake_clock
async def test_what_is_prepared_is_acknowledged_and_served_once_it_is_committed() -> None:
    worker = Worker()
    worker.inbox.take(Prepare(3, TARGET, {"version": "7"}, hold=True))
    assert worker.sent == [Acknowledge(3)]
    assert worker.serving.now() == Prepared()
    worker.shared.words[0] = 3
    assert worker.serving.now() == Prepared(Prepare(3, TARGET, {"version": "7"}, hold=True))


@fake_clock
async def test_a_commit_wakes_those_who_wait() -> None:
    worker = Worker()
    worker.serve(Prepare(1, hold=True))
    waiting = asyncio.create_task(worker.serving.wait_until_not(None, float("inf")))
    await asyncio.sleep(0.1)
    worker.serve(Prepare(2, TARGET))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    worker.inbox.take(Commit())
    await asyncio.wait_for(waiting, 1)


@fake_clock
async def test_who_waits_waits_while_a_process_is_on_its_way_and_no_longer_than_said() -> None:
    worker = Worker()
    await worker.serving.wait_until_not(None, float("inf"))
    worker.serve(Prepare(1, hold=True))
    await worker.serving.wait_until_not(TARGET, float("inf"))
    await worker.serving.wait_until_not(None, time.monotonic() - 1)
    waiting = asyncio.create_task(worker.serving.wait_until_not(None, float("inf")))
    await asyncio.sleep(100)
    assert not waiting.done()
    # It is not on its way any more.
    worker.serve(Prepare(2, hold=False))
    worker.inbox.take(Commit())
    await asyncio.wait_for(waiting, 1)


@fake_clock
async def test_who_waits_for_a_process_that_sleeps_wakes_it() -> None:
    worker = Worker()
    worker.serve(Prepare(1, TARGET))
    worker.serve(Prepare(2, hold=True, asleep=True))
    worker.inbox.take(Commit())
    worker.sent.clear()
    waiting = asyncio.create_task(worker.serving.wait_until_not(None, float("inf")))
    await asyncio.sleep(100)
    assert worker.sent == [Wake("produtos")]
    assert not waiting.done()
    worker.serve(Prepare(3, TARGET))
    worker.inbox.take(Commit())
    await asyncio.wait_for(waiting, 1)


@fake_clock
async def test_the_processes_in_use_are_told_each_second() -> None:
    worker = Worker()
    worker.serve(Prepare(1, TARGET))
    reporting = asyncio.create_task(worker.reporter.run())

    async def told(seconds: int) -> list[Message]:
        worker.sent.clear()
        await asyncio.sleep(seconds)
        return [each for each in worker.sent if isinstance(each, InUse)]

    await asyncio.sleep(0.5)
    assert await told(5) == []
    # One that ended, and one that goes on.
    worker.serving.begin(TARGET)
    worker.serving.end(TARGET)
    assert await told(5) == [InUse("produtos", TARGET.generation)]
    worker.serving.begin(TARGET)
    assert await told(5) == [InUse("produtos", TARGET.generation)] * 5
    reporting.cancel()


@fake_clock
async def test_an_open_lane_stays_open_and_another_one_takes_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Any] = []

    class Lane:
        def __init__(self, target: Any, _: Counters) -> None:
            if target.path == "/damaged":
                raise LaneError("it is damaged")
            self.target = target
            opened.append(self)

    monkeypatch.setattr(main, "FastLane", Lane)
    worker = Worker()
    for number in (1, 2):
        worker.serve(Prepare(number, lane=LANE))
        assert worker.serving.now().lane is opened[0]
    assert len(opened) == 1
    worker.serve(Prepare(3, lane=replace(LANE, version="8")))
    assert worker.serving.now().lane is opened[1]
    worker.serve(Prepare(4))
    assert worker.serving.now().lane is None
    damaged = Prepare(5, TARGET, lane=replace(LANE, path="/damaged"))
    worker.serve(damaged)
    assert worker.serving.now() == Prepared(damaged)
    assert worker.sent[-2:] == [
        LogError("a front worker can't use the fast lane: it is damaged"),
        Acknowledge(5),
    ]


@fake_clock
async def test_tokens_can_be_replaced() -> None:
    worker = Worker()
    worker.inbox.take(UseTokens({"new": Client("ana")}))
    assert worker.auth.client([], "m") is None
    assert worker.auth.client([(b"authorization", b"Bearer new")], "m") == Client("ana")


@fake_clock
async def test_counts_are_reported_every_second_and_when_asked_for() -> None:
    worker = Worker()
    reporting = asyncio.create_task(worker.reporter.run())
    await asyncio.sleep(2.5)
    assert worker.sent == [Counts({}, 0)] * 2
    worker.sent.clear()
    worker.counters.begun += 1
    await asyncio.sleep(1)
    assert worker.sent == [Counts({"produtos": {"in_flight": 1}}, 0)]
    worker.inbox.take(ReportCounts(9))
    assert worker.sent[1:] == [Counts({"produtos": {"in_flight": 1}}, 9)]
    worker.counters.other("/ping", 200)
    await asyncio.sleep(1)
    counted = {"in_flight": 1, "other_requests": [["/ping", 200, 1]]}
    assert worker.sent[2:] == [Counts({"produtos": counted}, 0)]
    reporting.cancel()


@fake_clock
async def test_each_scrape_gets_its_own_answer() -> None:
    worker = Worker()
    first = asyncio.create_task(worker.reporter.metrics("a"))
    second = asyncio.create_task(worker.reporter.metrics("b"))
    await asyncio.sleep(0)
    assert worker.sent == [Scrape(1, "a"), Scrape(2, "b")]
    worker.inbox.take(MetricsAnswer(2, "text/plain", "é"))
    worker.inbox.take(MetricsAnswer(2, "text/plain", "twice"))
    assert await second == ("text/plain", "é".encode())
    with pytest.raises(TimeoutError):
        await first
    assert now() == 10
    # Too late: nobody waits for it.
    worker.inbox.take(MetricsAnswer(1, "text/plain", "x"))


class Server:
    should_exit = False
    force_exit = False


@fake_clock
async def test_a_stop_ends_it_and_the_end_of_the_manager_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exits: list[tuple[float, int]] = []
    monkeypatch.setattr(os, "_exit", lambda code: exits.append((now(), code)))
    worker, server = Worker(), Server()
    queue: asyncio.Queue[Message | None] = asyncio.Queue()

    async def messages() -> Any:
        while (message := await queue.get()) is not None:
            yield message

    listening = asyncio.create_task(main._listen(server, messages(), worker.inbox))  # type: ignore[arg-type]
    queue.put_nowait(UseTokens({"t": Client()}))
    await asyncio.sleep(1)
    assert not server.should_exit
    queue.put_nowait(Stop())
    await asyncio.sleep(1)
    assert (server.should_exit, server.force_exit) == (True, False)
    server.should_exit = False
    queue.put_nowait(None)
    await listening
    assert (server.should_exit, server.force_exit) == (True, True)
    await asyncio.sleep(5)
    assert exits == [(3, 1)]


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to", "connections"),
    [
        (1024, 4096, None, 10),
        (100, 4096, 158, 10),
        (100, 152, 152, 4),
        (100, 120, 120, 1),
    ],
)
def test_connections_are_bounded_by_the_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch,
    soft: int,
    hard: int,
    raised_to: int | None,
    connections: int,
) -> None:
    given: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: given.append(pair[0]))
    settings = main._within_open_files(CONFIGURE)
    assert settings == replace(CONFIGURE, max_connections=connections)
    assert given == ([raised_to] if raised_to else [])
