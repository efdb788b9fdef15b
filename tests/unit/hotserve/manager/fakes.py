"""Stand-ins for what the manager starts and asks: server processes, the cache, the workers."""

import asyncio
import contextlib
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hotserve.config.model_uri import ModelReference, parse
from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Prepare, Target
from hotserve.manager.deployment import Deployment
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from hotserve.manager.registry import ModelVersion
from hotserve.manager.switcher import Switcher
from hotserve.manager.verdict import Verdict
from hotserve.processes.guarded_process import Exit
from hotserve.processes.model_server import StartError
from hotserve.processes.slots import ProcessSlots, Sleeper
from hotserve.redaction import Redactor
from tests.support.fake_clock import now
from tests.unit.hotserve.manager.samples import version

FOLDER = "/home/somebody/models"
OPEN = LaneVerdict("open", forms=("inputs",))
SETTINGS = SimpleNamespace(
    start_timeout=120.0,
    hold_timeout=30.0,
    csv="auto",
    keep_versions=3,
    workers=2,
    process="always",
    process_idle=300.0,
    command=SimpleNamespace(timeout=60, workers=1),
)


class FakeServer:
    """A server process; `steps` are its starts: seconds that each takes, or why it fails."""

    mlflow = "3.0"
    port = 1234

    def __init__(self, *steps: float | str) -> None:
        self.steps = [*steps]
        self.started_at: list[float] = []
        self.stopped_at: list[float] = []
        self.closed_at: list[float] = []
        self.slots, self.memory = ProcessSlots(), 0
        self.sleeper: Sleeper | None = None
        self._end: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def start(self, timeout: float) -> None:
        assert timeout == SETTINGS.start_timeout
        self.started_at.append(now())
        step = self.steps.pop(0) if self.steps else 1.0
        if isinstance(step, str):
            raise StartError(step)
        await asyncio.sleep(step)
        self._end = asyncio.get_running_loop().create_future()

    def end(self) -> str | None:
        return self._end.result().reason() if self._end.done() else None

    async def ended(self, patience: float) -> Exit:
        assert patience == SETTINGS.command.timeout
        return await asyncio.shield(self._end)

    def die(self, *output: str) -> None:
        self._end.set_result(Exit(1, output))

    async def stop(self, grace: float) -> None:
        assert grace == 3
        self.stopped_at.append(now())
        if not self._end.done():
            self.die()

    async def close(self, grace: float) -> None:
        assert grace == 3
        self.closed_at.append(now())

    def interpreter(self) -> str:
        return "/venv/bin/python"


class FakeOpener:
    """Comes to a verdict after `seconds`; `saved` is the verdict of an earlier start."""

    def __init__(
        self,
        comes_to: LaneVerdict = OPEN,
        *,
        seconds: float = 1.0,
        saved: LaneVerdict | None = None,
        python: str | None = "/usr/bin/python",
    ) -> None:
        self.comes_to, self.seconds, self.saved, self.python = comes_to, seconds, saved, python
        self.checks: list[int] = []
        self.begun: list[float] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.compiling: asyncio.Task[None] | None = None

    async def saved_verdict(self) -> LaneVerdict | None:
        return self.saved

    def begin(self) -> None:
        self.begun.append(now())
        self.compiling = asyncio.create_task(asyncio.sleep(self.seconds))
        self.tasks.append(self.compiling)

    async def verdict(self, port: int) -> LaneVerdict:
        if self.compiling is None:
            self.begin()
        assert self.compiling is not None
        compiling, self.compiling = self.compiling, None
        await compiling
        self.checks.append(port)
        return self.comes_to


class FakeBatchOpener:
    """Comes to `verdicts`, one after another, after `seconds` each."""

    def __init__(self, *verdicts: Verdict | None, seconds: float = 1.0) -> None:
        self.verdicts, self.seconds = [*verdicts], seconds
        self.checks: list[float] = []
        self.kept: list[str] = []

    async def check(self, port: int) -> Verdict | None:
        assert port == FakeServer.port
        self.checks.append(now())
        await asyncio.sleep(self.seconds)
        return self.verdicts.pop(0) if self.verdicts else None

    def keep_shut(self, why: str) -> None:
        self.kept.append(why)


class FakeCache:
    """Keeps what was served last."""

    folder = Path("/cache")

    def __init__(self) -> None:
        self.before: ModelVersion | None = None
        self.saved: list[str] = []
        self.fails = False

    def save_last_served(self, version: ModelVersion) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.saved.append(version.version)

    def last_served(self) -> ModelVersion | None:
        return self.before


class FakePreparation:
    """Makes deployments of the servers and openers that are laid ready by version."""

    def __init__(self, settings: object, reference: ModelReference, cache: FakeCache) -> None:
        self.settings, self.reference, self.cache = settings, reference, cache
        self.servers: dict[str, FakeServer] = {}
        self.openers: dict[str, FakeOpener] = {}
        self.batch_openers: dict[str, FakeBatchOpener] = {}
        self.cached: set[str] = set()
        self.prepared: list[tuple[str, bool]] = []
        self.in_use: set[str] = set()

    def is_cached(self, version: ModelVersion) -> bool:
        return version.version in self.cached

    async def prepare(self, version: ModelVersion, *, refetch: bool) -> Deployment:
        number = version.version
        self.prepared.append((number, refetch))
        self.in_use.add(number)
        in_use = contextlib.ExitStack()
        in_use.callback(self.in_use.discard, number)
        server: Any = self.servers.setdefault(number, FakeServer())
        opener: Any = self.openers.get(number)
        batch_opener: Any = self.batch_openers.get(number)
        files = LaneFiles(Path("/lanes", number))
        return Deployment(
            version,
            server,
            TextInput("texts"),
            in_use,
            files,
            opener=opener,
            batch_opener=batch_opener,
            signature={"inputs": [{"name": "valor", "type": "double"}]},
        )

    def log(self, version: ModelVersion) -> Path:
        return Path("/logs", version.version)


class FakePool:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.changes: list[Prepare] = []
        self.drains: dict[int, asyncio.Event] = {}
        self.generations = count(1)

    def publish(self, change: Prepare) -> None:
        self.changes.append(change)

    def drained(self, generation: int) -> asyncio.Event:
        return self.drains.setdefault(generation, asyncio.Event())

    @property
    def last(self) -> Prepare:
        return self.changes[-1]

    def target(self) -> Target | None:
        """The process that requests go to now."""
        return self.last.target

    @property
    def answers(self) -> str | None:
        """The version that requests go to now; None where they go nowhere."""
        target = self.last.target or self.last.lane
        return target.version if target else None


class Bench:
    """A switcher among them."""

    def __init__(self, uri: str = "models:/produtos/Production", **settings: Any) -> None:
        self.pool, self.cache = FakePool(), FakeCache()
        chosen = SimpleNamespace(**vars(SETTINGS) | settings)
        self.preparation = FakePreparation(chosen, parse(uri), self.cache)
        make: Any = Switcher
        self.switcher: Switcher = make(self.preparation, self.pool, Redactor([FOLDER]))

    def server(self, number: str, *steps: float | str) -> FakeServer:
        """Lay a server process ready for a version."""
        self.preparation.servers[number] = FakeServer(*steps)
        return self.preparation.servers[number]

    def server_of(self, number: str) -> FakeServer:
        """What was laid ready."""
        return self.preparation.servers[number]

    def batch_opener(self, number: str, opener: FakeBatchOpener) -> FakeBatchOpener:
        """Lay ready what opens batching for a version."""
        self.preparation.batch_openers[number] = opener
        return opener

    def opener(self, number: str, opener: FakeOpener) -> FakeOpener:
        """Lay ready what opens the lane of a version."""
        self.preparation.openers[number] = opener
        return opener

    async def serve(self, number: str) -> None:
        """Have a version deployed, and wait until it answers."""
        self.switcher.deploy(version(number))
        await until(lambda: self.pool.answers == number)

    @property
    def model(self) -> dict[str, Any]:
        """The answer of `/model` as the workers have it."""
        return self.pool.last.model


async def until(condition: Callable[[], object], step: float = 0.25) -> None:
    """Let time go by until something is so."""
    while not condition():
        assert now() < 100_000, "it never came"
        await asyncio.sleep(step)
