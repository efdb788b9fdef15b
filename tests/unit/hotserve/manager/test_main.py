"""The manager's own process: its port, and how it ends."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from hotserve.config import model_uri, settings
from hotserve.config.errors import UsageError
from hotserve.log import logger
from hotserve.manager import main
from hotserve.manager.registry import ModelVersion
from hotserve.processes.guarded_process import Exit


def test_it_listens_on_every_address_of_the_host() -> None:
    [listener] = main.listen("127.0.0.1", 0)
    with listener:
        assert not listener.getblocking()
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(UsageError, match=f"127.0.0.1 port {port}: it is in use"):
            main.listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (socket.gaierror(-2, "x"), "the host 'h' of -h is not known"),
        (UnicodeError("label empty or too long"), "the host 'h' of -h is not known"),
        (PermissionError(13, "Permission denied"), "can't listen on h port 80: permission denied"),
    ],
)
def test_a_port_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(UsageError) as raised:
        main.listen("h", 80)
    assert str(raised.value) == why


def test_no_socket_stays_open_where_one_of_them_cannot_be_had() -> None:
    opened: list[socket.socket] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        def addresses(*_: Any, **__: Any) -> Any:
            family = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*family, ("127.0.0.2", port)), (*family, ("127.0.0.1", port))]

        class Socket(socket.socket):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                opened.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", addresses)
            patch.setattr(socket, "socket", Socket)
            with pytest.raises(UsageError):
                main.listen("both", port)
    assert [each.fileno() for each in opened] == [-1, -1]


def test_the_wrapped_command_sees_none_of_hotserves_variables() -> None:
    seen = main._child_environment({"HOTSERVE_TOKEN": "t", "PATH": "/bin"}, 1)
    added = {"UVICORN_ACCESS_LOG": "false", "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": ANY}
    assert seen == {"PATH": "/bin", **added}
    for name in added:
        assert main._child_environment({name: "of the user"}, 1)[name] == "of the user"


@pytest.mark.parametrize(
    ("cores", "workers", "threads"),
    [(1, 1, "1"), (2, 1, "1"), (16, 1, "15"), (16, 4, "3"), (2, 8, "1")],
)
def test_a_core_is_left_to_http_by_the_threads_of_the_models_processes(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int, threads: str
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores))
    assert main._child_environment({}, workers)["OMP_NUM_THREADS"] == threads


@pytest.mark.parametrize(
    ("uri", "label"),
    [("runs:/1a/model", "1a"), ("models:/m-2b", "m-2b"), ("s3://bucket/modelo", "")],
)
def test_a_model_that_no_registry_numbers_is_called_by_its_run_or_its_id(
    uri: str, label: str
) -> None:
    fixed = main._fixed(model_uri.parse(uri))
    assert (fixed.label, fixed.version, fixed.source) == (label, "", uri)


@pytest.mark.parametrize(
    ("unknown", "code", "stops"),
    [((), 2, False), (("--x",), 2, True), (("--x",), 0, False), (("--x",), 1, False)],
)
def test_an_option_that_mlflow_does_not_know_ends_hotserve(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unknown: tuple[str, ...],
    code: int,
    stops: bool,
) -> None:
    async def run_to_end(*_: Any, **__: Any) -> Exit:
        return Exit(code, ("Usage: mlflow", "Error: No such option '--x'"))

    monkeypatch.setattr(main, "run_to_end", run_to_end)
    monkeypatch.setattr(logger, "propagate", True)
    command = SimpleNamespace(unknown=unknown, check=lambda: ["mlflow"])
    settings: Any = SimpleNamespace(command=command)
    checking = main._check_options(settings, {})
    if not stops:
        asyncio.run(checking)
        return
    with pytest.raises(main._Stopped) as stopped:
        asyncio.run(checking)
    assert stopped.value.args == (2,)
    assert caplog.messages == ["mlflow models serve: No such option '--x'"]


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "0.0.0.0"), ("::1", "[::1]")])
def test_it_says_where_it_listens_once_a_worker_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, shown: str
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(logger, "propagate", True)

    async def scenario() -> None:
        pool: Any = SimpleNamespace(ready=asyncio.Event())
        settings: Any = SimpleNamespace(command=SimpleNamespace(host=host, port=8080))
        task = asyncio.create_task(main._log_when_ready(pool, settings))
        await asyncio.sleep(0)
        assert caplog.messages == []
        pool.ready.set()
        await task

    asyncio.run(scenario())
    assert caplog.messages == [f"listening on http://{shown}:8080"]


class Pool:
    """Stands for the front workers."""

    def __init__(self, count: int, listeners: list[socket.socket], configure: Any, _: Any) -> None:
        self.count, self.listeners, self.configure = count, listeners, configure
        self.ready = asyncio.Event()
        self.done: list[Any] = []

    def start(self) -> None:
        self.done.append("started")

    async def stop(self, seconds: float) -> None:
        assert all(listener.fileno() == -1 for listener in self.listeners)
        self.done.append(("stopped", seconds))


class World:
    """What `run` puts together, all of it but the command line stood in for.

    Attributes:
        jobs: what it does at the same time, by name.
        fault: what one of them raises.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, *arguments: str) -> None:
        command = ("--cache", str(root), *arguments)
        self.settings = settings.read(command, {})
        self.reference = model_uri.parse(self.settings.command.model_uri)
        self.jobs: list[str] = []
        self.deployed: list[str] = []
        self.fault: Exception | None = None
        self.is_closed = False
        self.open_files: list[tuple[int, int]] = []
        self.pools: list[Pool] = []
        self.by_name = {self.reference.name: SimpleNamespace(switcher=self)}
        monkeypatch.setattr(main, "WorkerPool", self.make_pool)
        monkeypatch.setattr(main, "Models", lambda *_: self)
        monkeypatch.setattr(main, "connected", self.connected)
        monkeypatch.setattr(main, "Watcher", lambda *_: self.follower("watcher"))
        monkeypatch.setattr(main, "Comparison", lambda *_: self.follower("comparison"))
        monkeypatch.setattr(
            "hotserve.manager.workers.token_watch.follow", lambda *_: self.job("tokens")
        )
        # The rest of the tests are to go on as they are.
        monkeypatch.setattr("ctypes.CDLL", lambda _: SimpleNamespace(prctl=lambda *_: 0))
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1 << 20))
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits: self.open_files.append(limits))

    def make_pool(self, *given: Any) -> Pool:
        self.pools.append(Pool(*given))
        return self.pools[-1]

    @contextlib.asynccontextmanager
    async def connected(self, _: object) -> AsyncIterator[None]:
        yield

    def follower(self, name: str) -> Any:
        return SimpleNamespace(follow=lambda interval: self.job(f"{name} every {interval:g} s"))

    async def job(self, name: str) -> None:
        self.jobs.append(name)
        if self.fault:
            raise self.fault
        await asyncio.Event().wait()

    def deploy(self, version: ModelVersion) -> None:
        self.deployed.append(version.source)

    async def show_seen(self, _: object) -> None:
        await self.job("seen")

    @property
    def slots(self) -> Any:
        return SimpleNamespace(watch=lambda: self.job("memory"))

    async def close(self) -> None:
        self.is_closed = True

    def run(self, connection: object = None) -> int:
        """Until it is ended by a signal, which comes when everything is under way."""
        given: Any = connection

        async def run() -> int:
            loop = asyncio.get_running_loop()
            loop.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
            listeners = main.listen("127.0.0.1", 0)
            return await main.run(self.settings, self.reference, given, (), listeners, {})

        return asyncio.run(run())


SERVE = ("mlflow", "models", "serve", "-m")


def test_a_signal_ends_everything_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ("--workers", "3", "--stop-timeout", "5", "--poll-interval", "2", *SERVE)
    world = World(monkeypatch, tmp_path, *options, "models:/produtos/Production")
    assert world.run(connection="a registry") == 0
    [pool] = world.pools
    assert pool.done == ["started", ("stopped", 6)]
    assert (pool.count, pool.configure.model) == (3, "produtos")
    assert world.jobs == ["seen", "watcher every 2 s"]
    assert world.is_closed
    assert world.deployed == []


def test_each_thing_that_was_asked_for_is_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_text("a-token")
    options = ("--token-file", str(tmp_path / "tokens"), "--compare", "Staging", *SERVE)
    world = World(monkeypatch, tmp_path, *options, "models:/produtos/Production")
    world.run(connection="a registry")
    assert sorted(world.jobs) == ["comparison every 1 s", "seen", "tokens", "watcher every 1 s"]


@pytest.mark.parametrize(
    ("uri", "more_jobs", "open_files"),
    [
        ("models:/*/Production", ["memory"], [(65536, 1 << 20)]),
        ("models:/produtos/Production", [], []),
    ],
)
def test_many_models_may_have_more_files_open_than_a_shell_allows(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    uri: str,
    more_jobs: list[str],
    open_files: list[tuple[int, int]],
) -> None:
    world = World(monkeypatch, tmp_path, *SERVE, uri)
    assert world.run(connection="a registry") == 0
    assert world.jobs == ["seen", *more_jobs, "watcher every 1 s"]
    assert world.open_files == open_files


def test_a_model_outside_of_the_registry_is_deployed_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, tmp_path, *SERVE, "s3://bucket/modelo")
    assert world.run() == 0
    assert (world.deployed, world.jobs) == (["s3://bucket/modelo"], ["seen"])


def test_a_fault_is_no_clean_stop_and_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, tmp_path, *SERVE, "models:/produtos/Production")
    world.fault = ZeroDivisionError()
    monkeypatch.setattr(os, "kill", lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        world.run(connection="a registry")
    assert world.pools[0].done == ["started", ("stopped", 9)]
    assert world.is_closed
