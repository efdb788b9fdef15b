"""The pool of front workers: one that dies is replaced, and what they count is added up."""

import asyncio
import gc
import os
import socket
from typing import Any

import pytest

from hotserve.config.tokens import Client
from hotserve.ipc.channel import Channel
from hotserve.ipc.messages import (
    Acknowledge,
    BatchingFailed,
    Commit,
    Configure,
    Counts,
    Idle,
    InUse,
    LogError,
    Message,
    MetricsAnswer,
    Prepare,
    Ready,
    ReportCounts,
    Scrape,
    Stop,
    UseTokens,
    Wake,
)
from hotserve.log import logger
from hotserve.manager.workers.metrics import Metrics
from hotserve.manager.workers.pool import WorkerPool
from hotserve.manager.workers.state_metrics import ModelState, State
from hotserve.manager.workers.version_commit import Awaited
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.samples import CONFIGURE, TARGET


class FakeWorker:
    """A worker process at the other end of its channel."""

    def __init__(self, pid: int, fds: tuple[int, ...], environment: dict[str, str]) -> None:
        self.pid = pid
        self.listeners = fds[2:]
        self.environment = environment
        self.started_at = now()
        self.received: list[Message] = []
        self._socket = socket.socket(fileno=os.dup(fds[0]))
        self._ended = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        self.channel = await Channel.open(self._socket)
        async for message in self.channel.messages():
            self.received.append(message)

    def got(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.received if isinstance(message, kind)]

    def acknowledge(self) -> None:
        """All that it was sent so far."""
        self.channel.send(Acknowledge(self.got(Prepare)[-1].number))

    def end(self, code: int = 1) -> None:
        self.channel.close()
        if not self._ended.done():
            self._ended.set_result(code)

    kill = end

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)


class Pool(WorkerPool):
    """A pool of such workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int = 2) -> None:
        self.workers: list[FakeWorker] = []
        self.failures = 0
        self.metrics = Metrics(lambda: State({"produtos": ModelState({}, False, 0, 0, 0)}, 0))

        async def start(*_: str, pass_fds: tuple[int, ...], env: Any, **__: Any) -> FakeWorker:
            if self.failures:
                self.failures -= 1
                raise OSError(11, "no more processes")
            self.workers.append(FakeWorker(100 + len(self.workers), pass_fds, env))
            return self.workers[-1]

        monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
        super().__init__(count, [], CONFIGURE, self.metrics)

    async def begin(self) -> None:
        self.start()
        await asyncio.sleep(1)


async def ended_after(pool: Pool, *lives: float) -> list[float]:
    """Let the only worker end after living so long; the seconds until each new start."""
    waits = []
    for life in lives:
        await asyncio.sleep(life)
        pool.workers[-1].end()
        died, count = now(), len(pool.workers)
        while len(pool.workers) == count:
            await asyncio.sleep(0.125)
        waits.append(round(pool.workers[-1].started_at - died, 3))
        await asyncio.sleep(0)
    return waits


@fake_clock
async def test_a_worker_is_sent_the_settings_and_what_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/before")
    pool = Pool(monkeypatch)
    pool.publish(Prepare(target=TARGET))
    await pool.begin()
    first, _ = pool.workers
    assert first.received == [CONFIGURE, Prepare(1, target=TARGET)]
    folder, before = first.environment["PYTHONPATH"].split(os.pathsep)
    assert (os.path.isdir(f"{folder}/hotserve"), before) == (True, "/before")
    first.acknowledge()
    await asyncio.sleep(0.1)
    assert first.got(Commit)
    assert not pool.ready.is_set()
    first.channel.send(Ready())
    await asyncio.sleep(0.1)
    assert pool.ready.is_set()


@fake_clock
async def test_a_worker_that_ends_is_replaced_at_once_and_then_more_seldom(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    pool = Pool(monkeypatch, 1)
    await pool.begin()
    waits = await ended_after(pool, 1, 6, 6, 6, 6, 6, 6, 59, 61, 1)
    assert waits == [0, 0.5, 1, 2, 4, 5, 5, 5, 0, 0.5]
    assert pool.restarts == 10
    assert caplog.messages[0] == "front worker 0 ended (code 1); starting another"


@fake_clock
async def test_a_worker_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    pool = Pool(monkeypatch, 1)
    pool.failures = 3
    gc.collect()  # sockets of other tests
    before = len(os.listdir("/proc/self/fd"))
    pool.start()
    while not pool.workers:
        await asyncio.sleep(0.125)
    assert pool.workers[0].started_at == 1.5
    assert caplog.messages[0] == "front worker 0 ended (code 11); starting another"
    await asyncio.sleep(1)
    # One end of one socket pair here, and the other one in the worker.
    assert len(os.listdir("/proc/self/fd")) == before + 2


@fake_clock
async def test_tokens_reach_workers_that_run_and_that_come(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(monkeypatch, 1)
    await pool.begin()
    pool.use_tokens({"new": Client("ana")})
    await asyncio.sleep(0.1)
    assert pool.workers[0].got(UseTokens) == [UseTokens({"new": Client("ana")})]
    pool.workers[0].end()
    await asyncio.sleep(1)
    assert pool.workers[1].got(Configure)[0].tokens == {"new": Client("ana")}


@fake_clock
async def test_the_end_waits_for_requests_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(monkeypatch)
    await pool.begin()
    good, stubborn = pool.workers
    stopping = asyncio.create_task(pool.stop(9))
    await asyncio.sleep(1)
    assert good.got(Stop)
    assert stubborn.got(Stop)
    good.end(0)
    await asyncio.sleep(7)
    assert not stopping.done()
    await stopping
    assert now() == 10
    assert stubborn._ended.done()
    assert all(task.done() for task in pool._tasks)
    await asyncio.sleep(100)
    assert (len(pool.workers), pool.restarts) == (2, 0)


@fake_clock
async def test_no_worker_is_started_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(monkeypatch, 4)
    pool.start()
    await pool.stop(60)
    assert pool.workers == []
    # Nor while one waits for its turn.
    pool = Pool(monkeypatch, 1)
    pool.failures = 20
    pool.start()
    await asyncio.sleep(11)
    begun = now()
    await pool.stop(60)
    assert (now(), pool.workers) == (begun, [])


@fake_clock
async def test_a_worker_that_begins_during_a_stop_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(monkeypatch, 1)
    pool.start()
    await asyncio.sleep(0)
    stopping = asyncio.create_task(pool.stop(60))
    await asyncio.sleep(1)
    assert pool.workers[0].got(Stop)
    pool.workers[0].end(0)
    await asyncio.sleep(1)
    assert stopping.done()


@fake_clock
async def test_what_a_worker_wants_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    pool = Pool(monkeypatch)
    await pool.begin()
    pool.workers[0].channel.send(LogError("it can't"))
    await asyncio.sleep(0.1)
    assert caplog.messages == ["it can't"]


@fake_clock
async def test_an_old_process_is_drained_when_every_worker_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(monkeypatch, 3)
    await pool.begin()
    one, two, three = pool.workers
    drained = pool.drained(3)
    one.channel.send(Idle(3))
    two.channel.send(Idle(2))
    await asyncio.sleep(0.1)
    assert not drained.is_set()
    two.channel.send(Idle(3))
    # One that ended has no request left.
    three.end()
    await asyncio.sleep(0.1)
    assert drained.is_set()


@fake_clock
async def test_a_worker_that_comes_before_the_commit_may_send_requests_to_the_old_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(monkeypatch, 1)
    pool.publish(Prepare(target=TARGET))
    await pool.begin()
    first = pool.workers[0]
    first.acknowledge()
    await asyncio.sleep(0.1)
    pool.publish(Prepare())
    drained = pool.drained(TARGET.generation)
    first.end()
    await asyncio.sleep(0.1)
    assert drained.is_set()
    # Nobody is left who has to acknowledge: the change is committed, and the next one is idle.
    assert pool.workers[1].got(Prepare) == [Prepare(2)]


def test_drains() -> None:
    drains = Awaited()
    assert drains.begin(1, []).is_set()
    drained = drains.begin(2, [10])
    other = drains.begin(3, [10])
    drains.joined(11, {2, 9})
    drains.done(10, 2)
    drains.done(10, 9)
    assert not drained.is_set()
    drains.done(11, 2)
    assert drained.is_set()
    assert not other.is_set()
    drains.gone(10)
    assert other.is_set()


@fake_clock
async def test_metrics_wait_until_every_worker_has_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(monkeypatch, 3)
    await pool.begin()
    asked, other, third = pool.workers
    asked.channel.send(Scrape(77, "text/plain"))
    await asyncio.sleep(0.1)
    [number] = {each.scrape for worker in pool.workers for each in worker.got(ReportCounts)}
    report = {"in_flight": 1, "other_requests": [["/ping", 200, 2]]}
    asked.channel.send(Counts({"produtos": report}, number))
    other.channel.send(Counts({"produtos": report}, 0))
    await asyncio.sleep(0.1)
    assert asked.got(MetricsAnswer) == []
    third.end()
    other.channel.send(Counts({"produtos": {"in_flight": 1}}, number))
    await asyncio.sleep(0.1)
    [answer] = asked.got(MetricsAnswer)
    assert answer.number == 77
    assert answer.content_type.startswith("text/plain")
    assert 'hotserve_other_requests_total{code="200",path="/ping"} 4.0' in answer.body
    assert "hotserve_requests_in_flight 2.0" in answer.body
    assert other.got(MetricsAnswer) == []
    # Not once more when the time is over.
    await asyncio.sleep(5)
    assert len(asked.got(MetricsAnswer)) == 1


@fake_clock
async def test_metrics_of_workers_that_are_slow_or_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(monkeypatch)
    await pool.begin()
    asked, silent = pool.workers
    asked.channel.send(Scrape(1, ""))
    asked.channel.send(Scrape(2, ""))
    await asyncio.sleep(0.1)
    for each in asked.got(ReportCounts):
        asked.channel.send(Counts({"produtos": {"in_flight": 1}}, each.scrape))
    await asyncio.sleep(1.5)
    assert asked.got(MetricsAnswer) == []
    await asyncio.sleep(0.5)
    assert {each.number for each in asked.got(MetricsAnswer)} == {1, 2}
    asked.channel.send(Scrape(3, ""))
    await asyncio.sleep(0.1)
    # Nobody is left to be answered; what it had under way is gone with it.
    asked.end()
    silent.channel.send(Counts({"produtos": {"in_flight": 5}}, silent.got(ReportCounts)[-1].scrape))
    await asyncio.sleep(5)
    assert b"hotserve_requests_in_flight 5.0" in pool.metrics.text("")[1]


async def report(worker: FakeWorker, seconds: int) -> None:
    """Have it report every second."""
    for _ in range(seconds):
        worker.channel.send(Counts({"produtos": {"in_flight": 0}}, 0))
        await asyncio.sleep(1)


@fake_clock
async def test_a_worker_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(monkeypatch, 2)
    await pool.begin()
    lively, hanging = pool.workers
    await report(lively, seconds=60)
    assert len(pool.workers) == 2, "one that begins is given time"
    hanging.channel.send(Ready())
    await report(lively, seconds=29)
    assert pool.restarts == 0
    await report(lively, seconds=3)
    assert (pool.restarts, len(pool.workers)) == (1, 3)
    # One that never begins is given up, too.
    await report(lively, seconds=120)
    assert (pool.restarts, len(pool.workers)) == (1, 3)
    await report(lively, seconds=32)
    assert pool.restarts == 2


@fake_clock
async def test_what_workers_say_of_a_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(monkeypatch)
    received: list[object] = []
    pool.on_model = received.append
    await pool.begin()
    sent: list[Message] = [
        InUse("m", 3),
        Wake("n"),
        BatchingFailed("m", "7", "it gave 1 prediction for 2 rows"),
    ]
    for message in sent:
        pool.workers[1].channel.send(message)
    await asyncio.sleep(0.1)
    assert received == sent
