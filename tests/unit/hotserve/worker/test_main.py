"""A front worker from its first message to its last, on a socket of its own."""

import asyncio
import os
import resource
import signal
import socket
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from hotserve.ipc.channel import Channel
from hotserve.ipc.messages import (
    Acknowledge,
    BatchingFailed,
    Commit,
    Configure,
    Idle,
    Message,
    Prepare,
    Ready,
    Stop,
)
from hotserve.ipc.shared_version import SharedVersion
from hotserve.worker import main
from hotserve.worker.counters import Counters
from hotserve.worker.shared import Shared
from tests.unit.hotserve.samples import CONFIGURE, TARGET

pytestmark = pytest.mark.anyio

OPEN = replace(CONFIGURE, tokens=None, cors_origins=(), access_log=False, stop_timeout=0.5)


class Manager:
    """The other end of a worker's channel."""

    def __init__(self) -> None:
        self.shared = SharedVersion.create()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.received: list[Message] = []
        self.worker: asyncio.Task[None] | None = None

    async def start(self, *messages: Message) -> None:
        """Start the worker, and send it these."""
        ours, theirs = socket.socketpair()
        listeners = [os.dup(self.listener.fileno())]
        served = main.serve(theirs.detach(), self.shared.fd, listeners)
        self.worker = asyncio.create_task(served)
        await self.listen(ours, *messages)

    async def listen(self, ours: socket.socket, *messages: Message) -> None:
        """Talk to a worker over one end of its channel, and send it these first."""
        self.channel = await Channel.open(ours)
        self.listening = asyncio.create_task(self._listen())
        for message in messages:
            self.channel.send(message)

    async def _listen(self) -> None:
        async for message in self.channel.messages():
            self.received.append(message)

    async def got(self, message: Message) -> None:
        """Wait until the worker says that."""
        while message not in self.received:
            await asyncio.sleep(0)
            assert not self.listening.done(), "the worker is gone"
            assert self.worker is None or not self.worker.done()

    async def ended(self) -> None:
        """Wait until the worker is gone."""
        assert self.worker is not None
        await asyncio.wait_for(self.worker, 60)
        self.channel.close()
        self.listening.cancel()
        self.listener.close()

    async def ask(self, path: str) -> bytes:
        """The answer to a GET."""
        reader, writer = await asyncio.open_connection(*self.listener.getsockname())
        writer.write(b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % path.encode())
        answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture(autouse=True)
def _limits_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)


async def test_it_answers_once_the_first_change_is_committed_and_until_it_is_told_to_stop() -> None:
    manager = Manager()
    model: dict[str, Any] = {"name": "produtos", "message": "nothing yet"}
    await manager.start(OPEN, Prepare(1, model=model))
    await manager.got(Acknowledge(1))
    assert Ready() not in manager.received
    manager.shared.words[0] = 1
    manager.channel.send(Commit())
    await manager.got(Ready())
    answer = await manager.ask("/model")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"message": "nothing yet"' in answer
    assert b"503" in (await manager.ask("/ping")).splitlines()[0]
    manager.channel.send(Stop())
    await manager.ended()


@pytest.mark.parametrize("is_on", [False, True])
async def test_requests_are_logged_and_caches_warned_of_other_origins_where_that_is_wanted(
    is_on: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    manager = Manager()
    origins = ("https://shop.example",) if is_on else ()
    await manager.start(replace(OPEN, access_log=is_on, cors_origins=origins), Prepare(1))
    await manager.got(Acknowledge(1))
    manager.shared.words[0] = 1
    manager.channel.send(Commit())
    await manager.got(Ready())
    answer = await manager.ask("/model")
    assert (b"\r\nvary: Origin\r\n" in answer) == is_on
    manager.channel.send(Stop())
    await manager.ended()
    assert ('"path":"/model"' in capfd.readouterr().out.replace(" ", "")) == is_on


@pytest.mark.parametrize("messages", [(Stop(),), (OPEN, Stop()), (OPEN, Prepare(1), Stop())])
async def test_one_that_is_stopped_before_it_began_answers_nothing(
    messages: tuple[Message, ...],
) -> None:
    manager = Manager()
    await manager.start(*messages)
    await manager.ended()
    assert Ready() not in manager.received


@pytest.mark.parametrize("first", [(), (OPEN,)])
async def test_one_whose_manager_is_gone_before_it_began_ends(first: tuple[Configure, ...]) -> None:
    manager = Manager()
    await manager.start(*first)
    manager.channel.close()
    await manager.ended()


@pytest.mark.parametrize("is_told", [False, True])
async def test_a_worker_leaves_ctrl_c_to_the_manager_and_ends_when_that_is_gone_or_by_sigterm(
    is_told: bool,
) -> None:
    manager = Manager()
    ours, theirs = socket.socketpair()
    files = (theirs.fileno(), manager.shared.fd, manager.listener.fileno())
    command = [sys.executable, "-m", "hotserve.worker.main", *map(str, files)]
    worker = await asyncio.create_subprocess_exec(*command, pass_fds=files)
    theirs.close()
    await manager.listen(ours, OPEN, Prepare(1))
    await manager.got(Acknowledge(1))
    worker.send_signal(signal.SIGINT)
    manager.shared.words[0] = 1
    manager.channel.send(Commit())
    await manager.got(Ready())
    assert b"503" in (await manager.ask("/ping")).splitlines()[0]
    if is_told:
        worker.send_signal(signal.SIGTERM)
        assert await worker.wait() == 0
    manager.channel.close()
    await worker.wait()
    manager.listening.cancel()
    manager.listener.close()


async def test_connections_that_take_too_long_are_looked_for_every_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[int] = []
    server = main._Server(uvicorn.Config("none"), lambda: None)
    for tick in range(21):
        monkeypatch.setattr(main, "check_timeouts", lambda *_, tick=tick: looked.append(tick))
        await server.on_tick(tick)
    assert looked == [0, 10, 20]


async def test_what_a_model_has_to_say_goes_to_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Message] = []
    reports: list[Any] = []
    monkeypatch.setattr(main, "Batcher", lambda _pool, _counters, report: reports.append(report))
    channel: Any = SimpleNamespace(send=said.append)
    nothing: Any = None
    shared = Shared(OPEN, nothing, nothing, Counters(), nothing, None)
    model = main._model(shared, channel, SharedVersion.create(), None, "m")
    assert model.counters is not shared.counters
    reports[0]("7", "it gave 1 prediction for 2 rows")
    model.serving.begin(TARGET)
    model.serving.end(TARGET)
    assert said == [
        BatchingFailed("m", "7", "it gave 1 prediction for 2 rows"),
        Idle(TARGET.generation),
    ]
    only = main._model(shared, channel, SharedVersion.create(), None, OPEN.model)
    assert only.counters is shared.counters
