"""An answer that comes piece by piece is passed on as it comes."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Target
from hotserve.worker.upstream.events import Events
from hotserve.worker.upstream.pool import ConnectionPool
from tests.unit.hotserve.worker.front_worker import Connection, FrontWorker, request

pytestmark = pytest.mark.anyio

JSON = "application/json"
ASK = b'{"input": [], "stream": true}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def event(number: int) -> bytes:
    return b'data: {"n": %d}\n\n' % number


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Process:
    """Stands for a model's process: the test says what it sends, and when.

    Attributes:
        asked: bodies of requests.
        is_left: set when hotserve has closed the connection.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.is_left = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            [length] = re.findall(rb"content-length: (\d+)", head)
            self._writer = writer
            self.asked.append(await reader.readexactly(int(length)))
            await reader.read()
        except ConnectionError:
            pass
        self.is_left.set()

    def send(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    def end(self) -> None:
        assert self._writer is not None
        self._writer.close()


class Beside:
    """A front worker, that process, and a client that has asked for events."""

    def __init__(self, worker: FrontWorker, process: Process, target: Target) -> None:
        self.worker, self.process, self.target = worker, process, target
        self.client: Connection = worker.connect()

    async def ask(self) -> None:
        self.client.send(request(body=ASK, content_type=JSON))
        await until(lambda: self.process.asked)

    @property
    def got(self) -> bytes:
        """The body so far, without the marks of its parts."""
        _, _, body = self.client.transport.written.partition(b"\r\n\r\n")
        parts = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            parts += rest[: int(size, 16)]
            body = rest[int(size, 16) + 2 :]
        return parts

    async def until_got(self, body: bytes) -> None:
        await until(lambda: len(self.got) >= len(body))
        assert self.got == body

    async def logged(self) -> dict[str, Any]:
        """The one line of the access log, when it is there."""
        async with asyncio.timeout(30):
            while not (lines := self.worker.logged()):
                await asyncio.sleep(0.001)
        [line] = lines
        return line

    def error(self) -> str:
        """What the last event but one says, and that nothing follows."""
        assert self.client.transport.written.endswith(b"0\r\n\r\n")
        *_, said, done = self.got.split(b"data: ")
        assert done == b"[DONE]\n\n"
        return str(json.loads(said)["error"])


@asynccontextmanager
async def beside(timeout: float = 30.0, max_requests: int = 10) -> AsyncIterator[Beside]:
    process = Process()
    server = await asyncio.start_server(process.talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    worker = FrontWorker(pool=ConnectionPool(timeout), lane=False, max_requests=max_requests)
    target = Target(2, port, "7", "3.17", TextInput("table"))
    worker.serve(target, None)
    try:
        yield Beside(worker, process, target)
    finally:
        server.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_events_are_passed_on_as_they_come() -> None:
    async with beside() as both:
        await both.ask()
        assert both.process.asked == [ASK]
        both.process.send(HEAD + chunk(event(1)))
        await both.until_got(event(1))
        head = both.client.transport.written.partition(b"\r\n\r\n")[0]
        for told in (b"content-type: text/event-stream", b"x-model-version: 7"):
            assert told in head
        assert b"x-hotserve-lane: process" in head
        assert b"content-length" not in head
        # In the middle of an event, and more than one.
        both.process.send(chunk(event(2)[:5]))
        await both.until_got(event(1) + event(2)[:5])
        both.process.send(chunk(event(2)[5:] + event(3)))
        await both.until_got(event(1) + event(2) + event(3))
        assert both.worker.logged() == []
        both.process.send(chunk(DONE) + b"0\r\n\r\n")
        line = await both.logged()
        assert (line["status"], line["lane"], line["version"]) == (200, "process", "7")
        assert line["bytes"] == len(both.got) == len(event(1) * 3 + DONE)
        # The connection is as good as before.
        await both.process.is_left.wait()
        both.client.transport.written = b""
        assert (await both.client.ask(request("GET", "/ping"))).status == 200


async def test_it_is_under_way_as_long_as_events_come() -> None:
    async with beside(max_requests=1) as both:
        await both.ask()
        both.process.send(HEAD + chunk(event(1)))
        await both.until_got(event(1))
        refused = await both.worker.ask("POST", "/invocations", ASK, content_type=JSON)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        # Another version takes over: the process ends when the last event has come.
        both.worker.serve(None, None)
        assert 2 not in both.worker.idle
        assert both.worker.serving.take_used() == {2}
        assert both.worker.serving.take_used() == {2}
        both.process.send(chunk(event(2)) + b"0\r\n\r\n")
        await both.until_got(event(1) + event(2))
        await until(lambda: 2 in both.worker.idle)
        both.worker.serving.take_used()
        assert both.worker.serving.take_used() == set()
        told = both.worker.counters.take()
        assert [200, "process", "7", 1] in told["requests"]
        assert told["in_flight"] == 0


async def test_a_client_that_goes_ends_it_at_the_process_too() -> None:
    async with beside() as both:
        await both.ask()
        both.process.send(HEAD + chunk(event(1)))
        await both.until_got(event(1))
        both.client.transport.close()
        # Nothing more comes of the process that would show it.
        async with asyncio.timeout(30):
            await both.process.is_left.wait()
        assert (await both.logged())["status"] == 499


async def test_a_process_that_says_nothing_more_is_not_waited_for_without_end() -> None:
    async with beside(timeout=0.2) as both:
        await both.ask()
        both.process.send(HEAD + chunk(event(1)))
        assert (await both.logged())["status"] == 504
        assert both.error() == "the model gave nothing more for 0.2 s"
        assert both.got.startswith(event(1))


async def test_a_process_that_says_nothing_at_all_is_a_504() -> None:
    async with beside(timeout=0.05) as both:
        await both.ask()
        assert (await both.logged())["status"] == 504
        assert both.client.received()[0].message == "the model did not answer in time"


async def test_a_process_that_ends_in_the_middle_is_told() -> None:
    async with beside() as both:
        await both.ask()
        both.process.send(HEAD + chunk(event(1) + event(2)[:9]))
        await both.until_got(event(1) + event(2)[:9])
        both.process.end()
        assert (await both.logged())["status"] == 503
        assert both.error() == "the model's process ended while it answered"


async def test_the_end_of_hotserve_is_told() -> None:
    async with beside() as both:
        await both.ask()
        both.process.send(HEAD + chunk(event(1)))
        await both.until_got(event(1))
        for task in both.worker.state.tasks:
            task.cancel()
        assert (await both.logged())["status"] == 503
        assert both.error() == "hotserve is stopping"
        await both.process.is_left.wait()


async def test_what_the_other_protocol_can_t_carry_is_an_error() -> None:
    async with beside() as both:
        both.worker.serve(both.target, None, name="m", version="7")
        body = b'{"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}'
        both.client.send(request(path="/v2/models/m/infer", body=body, content_type=JSON))
        await until(lambda: both.process.asked)
        both.process.send(HEAD + chunk(event(1)))
        await both.process.is_left.wait()
        [answer] = both.client.received()
        assert (answer.status, "events" in answer.json()["error"]) == (500, True)


async def test_no_more_is_read_than_a_slow_client_takes() -> None:
    async with beside() as both:
        transport = both.client.transport
    events = Events(transport, 1)
    for _ in range(3):
        events.feed(b"x" * 100_000)
    assert not transport.is_read()
    assert len(await events.read()) == 300_000
    assert transport.is_read()
    events.feed(b"y")
    events.end(is_whole=True)
    assert [await events.read() for _ in range(3)] == [b"y", b"", b""]
