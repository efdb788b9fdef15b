"""A whole front worker in the test's own process: no sockets, no model, no waiting."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from hotserve.config.tokens import Client
from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import LaneTarget, Prepare, Target
from hotserve.ipc.shared_version import SharedVersion
from hotserve.lane.explanation import Contribution, Explanation
from hotserve.redaction import Redactor
from hotserve.worker.access_log import AccessLog
from hotserve.worker.admission import Admission
from hotserve.worker.answer import JSON, Answer, Headers
from hotserve.worker.app import App
from hotserve.worker.auth import Auth
from hotserve.worker.cors import Cors
from hotserve.worker.counters import Counters
from hotserve.worker.errors import FaultLog
from hotserve.worker.fast_lane import FastLane
from hotserve.worker.http.fast_path import FastPathProtocol
from hotserve.worker.model_paths import Model
from hotserve.worker.models import Models
from hotserve.worker.serving import Prepared, Serving
from hotserve.worker.shared import Shared
from hotserve.worker.upstream.batcher import Batcher
from hotserve.worker.upstream.client import UpstreamClient
from hotserve.worker.upstream.pool import ConnectionPool
from tests.unit.hotserve.samples import CONFIGURE

CSV = b"text/csv"
DATE = (b"date", b"Wed, 25 Nov 2026 13:00:00 GMT")
READ_TIMEOUT, IDLE_TIMEOUT = 30.0, 75.0


class Compiled:
    """Stands for a compiled model that knows `halo` only."""

    classes = ("brinquedo", "livro", "game")

    def explain(self, text: str) -> Explanation:
        weight = 2.0 if text == "halo" else None
        return Explanation(2, 1, 2.5, 0.5, [Contribution(text, 1, weight)])


class Lane:
    """Stands for a `FastLane`: it knows `halo`, and fails at `fault`."""

    target = LaneTarget("", 0, "7", "3.17", (), True, ())
    compiled = Compiled()

    def __init__(self) -> None:
        self.headers: Headers = [JSON, (b"x-model-version", b"7"), (b"x-hotserve-lane", b"fast")]
        self._heads: dict[int, bytes] = {}

    def answer_now(self, content_type: bytes, body: bytes) -> bytes | None:
        if body == b"fault":
            raise ZeroDivisionError
        return b'{"predictions": ["game"]}' if (content_type, body) == (CSV, b"halo") else None

    async def answer(self, content_type: bytes, body: bytes) -> bytes | None:
        return self.answer_now(content_type, body.strip())

    def head(self, length: int) -> bytes:
        return FastLane.head(cast(FastLane, self), length)


class Process:
    """Stands for the pool of connections to a model's process; it answers with what it was sent.

    Attributes:
        gate: what it waits for before each answer.
        answer: what it gives instead.
    """

    timeout = 60.0

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer: Answer | None = None
        self.sent: list[tuple[bytes, bytes]] = []

    async def post(self, _: Target, content_type: bytes, body: bytes, *headers: Headers) -> Answer:  # noqa: ARG002
        self.sent.append((content_type, body))
        await self.gate.wait()
        return self.answer or Answer(200, [JSON], b'{"predictions": ["process"]}')


class Transport(asyncio.Transport):
    """Keeps what is written, in so many `packets`; `unsent` bytes of it nobody has read."""

    def __init__(self, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 8080)})
        self._protocol = protocol
        self._loop = loop
        self.written = b""
        self.packets = 0
        self.unsent = 0
        self._is_read = True
        self.is_half_closed = False
        self.is_aborted = False
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_half_closed
        if not self._is_closing:
            self.written += data
            self.packets += 1

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_half_closed = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.is_aborted = True
        self.close()

    def is_read(self) -> bool:
        return self._is_read

    def pause_reading(self) -> None:
        self._is_read = False

    def resume_reading(self) -> None:
        self._is_read = True

    def get_write_buffer_size(self) -> int:
        return self.unsent


@dataclass
class Received:
    """An answer as a client has it; names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """Of an error."""
        return str(self.json()["message"])


class Connection:
    """A client's connection to a worker."""

    def __init__(self, worker: "FrontWorker") -> None:
        loop = asyncio.get_running_loop()
        self.protocol = FastPathProtocol(
            worker.config, worker.state, {}, loop, shared=worker.shared, models=worker.models
        )
        self.transport = Transport(self.protocol, loop)
        self.protocol.connection_made(self.transport)

    def send(self, data: bytes, packet: int | None = None) -> "Connection":
        """In packets of that size, as long as the server reads."""
        for start in range(0, len(data), packet or len(data)):
            if self.is_closed:
                break
            self.protocol.data_received(data[start : start + (packet or len(data))])
        return self

    @property
    def is_closed(self) -> bool:
        return self.transport.is_closing()

    @property
    def is_ended(self) -> bool:
        """Whether the server says that nothing more will come."""
        return self.transport.is_half_closed or self.is_closed

    @property
    def lane(self) -> list[str | None]:
        """Who gave each of the answers that came."""
        return [answer.headers.get("x-hotserve-lane") for answer in self.received()]

    def received(self) -> list[Received]:
        """The answers that came whole."""
        return _read(self.transport.written)

    async def answers(self, count: int) -> list[Received]:
        """Wait for so many, and no more."""
        await until(lambda: len(self.received()) >= count)
        await settle()
        answers = self.received()
        assert len(answers) == count, answers
        return answers

    async def answer(self) -> Received:
        """The only one."""
        return (await self.answers(1))[0]

    async def ask(self, data: bytes) -> Received:
        """Send a request and wait for one more answer."""
        before = len(self.received())
        self.send(data)
        return (await self.answers(before + 1))[-1]


def _read(data: bytes) -> list[Received]:
    answers: list[Received] = []
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            break
        answers.append(Received(int(first.split()[1]), headers, rest[:length]))
        data = rest[length:]
    return answers


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until `condition` holds; everything here takes a few of its turns."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come to that")


async def settle() -> None:
    """Let the loop do what it still has to do."""
    for _ in range(50):
        await asyncio.sleep(0)


async def _no_metrics(accept: str) -> tuple[str, bytes]:
    return "text/plain; version=0.0.4", accept.encode()


class FrontWorker:
    """One worker, its lane open and its process healthy.

    Args:
        tokens: with their names, or with who has them.
        models: served below `/models/`; none: it serves one, at `/`.

    Attributes:
        faults: what it reported to the manager.
        failed: versions whose rows may not go together any more, and why.
        process: of the model; not where a `pool` leads to another one.
        processes: of each of many models.
        idle: generations of processes that have no request left.
    """

    def __init__(
        self,
        *,
        tokens: dict[str, str] | dict[str, Client] | None = None,
        origins: Sequence[str] = (),
        lane: bool = True,
        max_body: int = 100_000,
        max_requests: int = 10,
        connections: int = 10,
        metrics: Callable[[str], Awaitable[tuple[str, bytes]]] = _no_metrics,
        models: Sequence[str] = (),
        pool: ConnectionPool | None = None,
    ) -> None:
        self.faults: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self._version = SharedVersion.create()
        self.idle: list[int] = []
        self._log_out, self._log_in = os.pipe()
        self._max_requests = max_requests
        self._pool = pool
        settings = replace(
            CONFIGURE,
            model="" if models else CONFIGURE.model,
            read_timeout=READ_TIMEOUT,
            idle_timeout=IDLE_TIMEOUT,
            hold_timeout=0.0,
            max_connections=connections,
            max_body=max_body,
        )
        clients = None
        if tokens is not None:
            clients = {t: c if isinstance(c, Client) else Client(c) for t, c in tokens.items()}
        self.counters = Counters()
        self.shared = Shared(
            settings,
            Auth(clients),
            Cors(origins),
            self.counters,
            FaultLog(self.faults.append),
            AccessLog(self._log_in),
        )
        self.processes: dict[str, Process] = {}
        self.models = Models(settings.model, self._model)
        root = self.models.root
        self.process, self.serving = self.processes[root.name], root.serving
        self.admission = root.admission
        self.app = App(self.shared, self.models, metrics)
        self.config = uvicorn.Config(
            self.app, lifespan="off", ws="none", interface="asgi3", log_config=None
        )
        self.state = ServerState()
        self.state.default_headers = [DATE]
        target = Target(1, 1, "7", "3.17", TextInput("texts"))
        if models:
            self.say("", message=None)
        for name in models:
            self.say(name, target, Lane() if lane else None, name=name, version="7")
        if not models:
            self.serve(target, Lane() if lane else None)

    def _model(self, name: str) -> Model:
        self.processes[name] = process = Process()
        counters = self.counters if name == self.shared.settings.model else Counters()
        serving = Serving(self.idle.append, lambda: None, self._version)
        pool = self._pool or cast(ConnectionPool, process)
        batcher = Batcher(pool, counters, lambda *failed: self.failed.append(failed))
        redactor = Redactor(["/srv/private"])
        upstream = UpstreamClient(self.shared, serving, counters, batcher, redactor)
        admission = Admission(self._max_requests, self.shared.settings.max_body)
        return Model(name, upstream, admission)

    def serve(
        self, target: Target | None, lane: Lane | None, *, asleep: bool = False, **model: object
    ) -> None:
        """As if the manager had said so; `model` is the answer of `/model`."""
        self._say(self.models.root.name, target, lane, dict(model), asleep=asleep)

    def say(
        self,
        of: str,
        target: Target | None = None,
        lane: Lane | None = None,
        *,
        is_gone: bool = False,
        **model: object,
    ) -> None:
        """The same of one of many models; of all of them where the name is empty."""
        self._say(of, target, lane, dict(model), is_gone=is_gone)

    def _say(
        self,
        of: str,
        target: Target | None,
        lane: Lane | None,
        shown: dict[str, Any],
        *,
        asleep: bool = False,
        is_gone: bool = False,
    ) -> None:
        number = self._version.words[0] + 1
        opened = cast(FastLane | None, lane)
        change = Prepare(number, target, shown, asleep, asleep, name=of, is_gone=is_gone)
        serving = self.models.take(of).serving
        serving.prepare(Prepared(change, opened))
        self._version.words[0] = number
        serving.now()

    def connect(self) -> Connection:
        return Connection(self)

    async def ask(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> Received:
        """One request on a connection of its own."""
        return await self.connect().ask(request(method, path, body, **headers))

    def logged(self) -> list[dict[str, Any]]:
        """The lines of the access log since the last call."""
        os.set_blocking(self._log_out, False)
        try:
            text = os.read(self._log_out, 1 << 20).decode()
        except BlockingIOError:
            return []
        return [json.loads(line) for line in text.splitlines()]


def request(
    method: str = "POST", path: str = "/invocations", body: bytes = b"", **headers: str
) -> bytes:
    """A request; `_` in the name of a header stands for `-`. An empty one is left out."""
    lines = {"host": "h", "content_type": "text/csv", "content_length": str(len(body)), **headers}
    head = [f"{method} {path} HTTP/1.1"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in lines.items() if value]
    return "\r\n".join([*head, "", ""]).encode() + body
