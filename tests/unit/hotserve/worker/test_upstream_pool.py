"""Requests on their way to a model's process, and what may come back."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import uvicorn

from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Target
from hotserve.worker.answer import Answer, Headers
from hotserve.worker.upstream import pool as pool_module
from hotserve.worker.upstream.connection import Connection
from hotserve.worker.upstream.pool import ConnectionPool, NoAnswer

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CLOSE = b""
"""Instead of an answer: the process closes the connection."""
LATER = b"-"
"""Instead of a part: one pause, so that what follows comes in a packet of its own."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop of the front workers."""
    return "asyncio", {"use_uvloop": True}


class Process:
    """Stands for a server process that gives prepared answers, one after another.

    Attributes:
        heads: of the requests that came, in small letters.
        bodies: their bodies.
        connections: how many were opened.
    """

    def __init__(self, answers: Sequence[Sequence[bytes]]) -> None:
        self._answers = list(answers)
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                [length] = re.findall(rb"content-length: (\d+)", head)
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(int(length)))
                for part in self._answers.pop(0):
                    if part == CLOSE:
                        return
                    if part == LATER:
                        await asyncio.sleep(0.02)
                    else:
                        writer.write(part)
                        await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[Target]:
    """The target of a process that listens."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Target(1, port, "1", "3.0", TextInput("texts", ()))
    finally:
        server.close()


async def ask(
    pool: ConnectionPool,
    target: Target,
    body: bytes = b"{}",
    headers: Headers | None = None,
) -> Answer:
    return await pool.post(target, b"application/json", body, headers or [])


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([OK], b"ok"),
        ([b"HTTP/1.1 200 OK\r\ncontent-len", LATER, b"gth: 2\r\n\r\no", LATER, b"k"], b"ok"),
        (
            [
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n",
                LATER,
                b"1\r\nk\r\n0\r\n\r\n",
            ],
            b"ok",
        ),
        ([b"HTTP/1.1 200 OK\r\n\r\no", LATER, b"k", CLOSE], b"ok"),
        ([b"HTTP/1.0 200 OK\r\n\r\nok", CLOSE], b"ok"),
        ([b"HTTP/1.1 102 Processing\r\n\r\n", LATER, OK], b"ok"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], b""),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
    ],
    ids=["whole", "parts", "chunks", "to its end", "1.0", "not yet", "empty", "no content"],
)
async def test_an_answer_is_read_to_its_end(parts: list[bytes], body: bytes) -> None:
    process = Process([parts, [OK]])
    async with listening(process.talk) as target:
        pool = ConnectionPool(30)
        answer = await ask(pool, target)
        assert answer.status in (200, 204)
        assert answer.body == body
        assert (await ask(pool, target)).body == b"ok"
        pool.close()


async def test_what_is_sent_and_what_is_returned() -> None:
    head = b"Content-Length: 1\r\nServer: x\r\nX-Own: Y\r\nConnection: close\r\n\r\n"
    process = Process([[b"HTTP/1.1 418 Oh\r\n", head, b"!"]])
    async with listening(process.talk) as target:
        pool = ConnectionPool(30)
        sent = [
            (b"host", b"example.org"),
            (b"authorization", b"Bearer secret"),
            (b"cookie", b"a=b"),
            (b"connection", b"keep-alive"),
            (b"content-type", b"text/csv"),
            (b"x-request-id", b"7"),
        ]
        answer = await ask(pool, target, b"[1]", sent)
    assert (answer.status, answer.headers, answer.body) == (418, [(b"x-own", b"Y")], b"!")
    assert process.bodies == [b"[1]"]
    assert process.heads == [
        b"post /invocations http/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
        b"content-length: 3\r\nx-request-id: 7\r\n\r\n" % target.port
    ]


async def test_a_connection_is_used_again() -> None:
    process = Process([[OK]] * 3)
    async with listening(process.talk) as target:
        pool = ConnectionPool(30)
        for _ in range(3):
            await ask(pool, target)
        pool.close()
    assert process.connections == 1


async def test_one_that_was_idle_for_long_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 0.0)
    process = Process([[OK]] * 2)
    async with listening(process.talk) as target:
        pool = ConnectionPool(30)
        for _ in range(2):
            await ask(pool, target)
        pool.close()
    assert process.connections == 2


async def test_a_request_that_found_its_connection_closed_is_sent_again() -> None:
    process = Process([[OK], [CLOSE], [OK]])
    async with listening(process.talk) as target:
        pool = ConnectionPool(30)
        assert [(await ask(pool, target)).body for _ in range(2)] == [b"ok", b"ok"]
        pool.close()
    assert process.connections == 2


@pytest.mark.parametrize(
    "parts",
    [
        [CLOSE],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", CLOSE],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", CLOSE],
        [b"SSH-2.0-OpenSSH\r\n", CLOSE],
    ],
    ids=["nothing", "half", "half of its chunks", "no http"],
)
async def test_no_whole_answer_twice_is_told(parts: list[bytes]) -> None:
    process = Process([parts] * 2)
    async with listening(process.talk) as target:
        with pytest.raises(NoAnswer) as told:
            await ask(ConnectionPool(30), target)
    assert not told.value.refused
    assert len(process.heads) == 2


async def test_nobody_listens() -> None:
    async with listening(Process([]).talk) as target:
        pass
    with pytest.raises(NoAnswer) as told:
        await ask(ConnectionPool(30), target)
    assert told.value.refused


async def test_time_is_up_and_the_answer_goes_to_nobody_else() -> None:
    process = Process([[OK]])
    silent: list[asyncio.StreamReader] = []

    async def first_one_is_silent(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if silent:
            await process.talk(reader, writer)
        else:
            silent.append(reader)
            await reader.read()
            writer.close()

    async with listening(first_one_is_silent) as target:
        pool = ConnectionPool(0.05)
        with pytest.raises(TimeoutError):
            await ask(pool, target)
        pool.timeout = 30
        assert (await ask(pool, target)).body == b"ok"
        pool.close()
    assert process.connections == 1


async def test_each_request_has_its_own_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(silent) as target:
        pool = ConnectionPool(0.1)
        first = asyncio.create_task(ask(pool, target))
        await asyncio.sleep(0.05)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await ask(pool, target)
        assert asyncio.get_running_loop().time() - begun > 0.08
        with pytest.raises(TimeoutError):
            await first


async def test_connections_to_a_process_that_was_replaced_are_closed() -> None:
    """Those that were idle, and one whose answer came after the change."""
    closed = asyncio.Queue[bytes]()
    go_on = asyncio.Event()

    async def slow_on_demand(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"content-length: 4" in head:
            await go_on.wait()
        writer.write(OK)
        await reader.readexactly(4 if b"content-length: 4" in head else 3)
        closed.put_nowait(await reader.read())

    async with listening(slow_on_demand) as old, listening(Process([[OK]]).talk) as new:
        pool = ConnectionPool(30)
        slow = asyncio.create_task(ask(pool, old, b"slow"))
        await ask(pool, old, b"[1]")
        await ask(pool, replace(new, generation=old.generation + 1))
        assert await closed.get() == b""
        go_on.set()
        assert (await slow).body == b"ok"
        assert await closed.get() == b""
        pool.close()


async def test_an_answer_that_nobody_asked_for_is_given_to_nobody() -> None:
    wrong = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong"
    process = Process([[OK + wrong], [OK], [OK]])
    async with listening(process.talk) as target:
        pool = ConnectionPool(30)
        bodies = [(await ask(pool, target)).body for _ in range(3)]
        pool.close()
    assert bodies == [b"ok"] * 3


async def test_a_connection_on_which_something_came_unasked_is_of_no_more_use() -> None:
    """What follows of it would be taken for the next answer, or a part of it."""

    class Transport(asyncio.Transport):
        is_open = True

        def is_closing(self) -> bool:
            return not self.is_open

        def abort(self) -> None:
            self.is_open = False

    connection = Connection(1.0)
    connection.connection_made(Transport())
    assert connection.is_usable
    connection.data_received(OK[:20])
    assert not connection.is_usable


async def test_an_answer_before_the_request_was_read() -> None:
    """The connection is not used again: the rest of the body is still on its way."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = re.findall(rb"content-length: (\d+)", head)
        if int(length) > 1000:
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        else:
            writer.write(OK)
        await writer.drain()

    async with listening(refuse) as target:
        pool = ConnectionPool(30)
        assert (await ask(pool, target, b"-" * (64 << 20))).status == 413
        assert (await ask(pool, target)).body == b"ok"
        pool.close()


def test_a_connection_is_given_up_before_the_process_closes_it() -> None:
    assert uvicorn.Config("none").timeout_keep_alive > pool_module.IDLE_SECONDS
