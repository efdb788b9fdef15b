"""One server process on its private port: a real process, and no MLflow."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from hotserve.processes import model_server
from hotserve.processes.guarded_process import ProcessContext
from hotserve.processes.model_server import ModelServer, StartError
from hotserve.processes.slots import ProcessSlots
from tests.support.fake_clock import fake_clock

SERVER = """
import http.server, sys, time
if {delay} < 0: sys.exit("ValueError: no model")
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response({status} if Handler.asked > {delay} else 503)
        self.end_headers()
        self.wfile.write(b"3.99 ")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


LAUNCHER = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"


class Command:
    """The wrapped command, but for MLflow."""

    def __init__(self, *, status: int = 200, delay: int = 0) -> None:
        self.code = SERVER.format(status=status, delay=delay)

    def serve(self, model: str, port: int) -> list[str]:
        assert model == "/model"
        module = "mlflow.pyfunc.scoring_server.app:app"
        return [sys.executable, "-c", LAUNCHER, sys.executable, "-c", self.code, str(port), module]

    def python_server(self, model: str, port: int) -> list[str] | None:
        return self.serve(model, port)


def with_server(
    command: Command, log: Path, scenario: Callable[[ModelServer], Coroutine[Any, Any, None]]
) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            wrapped: Any = command
            server = ModelServer(
                wrapped, Path("/model"), ProcessContext(os.environ, log / "log"), session
            )
            try:
                await scenario(server)
            finally:
                await server.close(0.5)

    asyncio.run(run())


def test_it_is_started_when_it_is_healthy_and_again_on_the_same_port(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> None:
        assert (server.pid, server.mlflow) == (0, "")
        await server.start(60)
        assert server.mlflow == "3.99"
        first = psutil.Process(server.pid)
        assert server.interpreter() == sys.executable
        waiting = asyncio.create_task(server.ended(60))
        first.kill()
        assert (await waiting).reason() == "ended by SIGKILL"
        await server.start(60)
        assert server.pid != first.pid
        await server.close(0.5)
        assert not psutil.pid_exists(server.pid)
        assert server.interpreter() is None

    with_server(Command(delay=2), tmp_path, scenario)


class Another(Command):
    """What begins is another command than the one that the model's files ask for."""

    def python_server(self, model: str, port: int) -> list[str] | None:
        return [sys.executable, "-c", "import time; time.sleep(3600)", model, str(port)]


class Unknown(Command):
    """What is to be run can't be told before the files are there."""

    def python_server(self, *_: object) -> None:
        return None


@pytest.mark.parametrize("command", [Command(), Another(), Unknown()])
def test_a_start_goes_on_with_what_began_if_it_is_the_same(
    tmp_path: Path, command: Command
) -> None:
    async def scenario(server: ModelServer) -> None:
        await server.begin()
        begun = server.pid
        await server.start(60)
        assert (server.pid == begun) == (type(command) is Command)
        assert server.mlflow == "3.99"
        if begun and server.pid != begun:
            assert not psutil.pid_exists(begun)
        before = server.pid
        await server.stop(5)
        await server.start(60)
        assert server.pid != before

    with_server(command, tmp_path, scenario)


def test_what_began_is_ended_where_the_model_does_not_come(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> None:
        await server.begin()
        assert psutil.pid_exists(server.pid)
        await server.close(0.5)
        assert not psutil.pid_exists(server.pid)

    with_server(Another(), tmp_path, scenario)


def test_it_is_ended_and_started_again_on_the_same_port(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> None:
        port = server.port
        for _ in range(2):
            await server.start(60)
            family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
            await server.stop(5)
            assert not any(process.is_running() for process in family)
            assert await server._get("/ping") is None
            assert server.port == port

    with_server(Command(), tmp_path, scenario)


def test_a_process_that_hangs_is_ended_and_one_that_was_slow_once_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_server, "_LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(model_server, "_PING_TIMEOUT", aiohttp.ClientTimeout(total=0.5))

    async def scenario(server: ModelServer) -> None:
        await server.start(60)
        family = psutil.Process(server.pid).children(recursive=True)
        waiting = asyncio.create_task(server.ended(2 * model_server._LOOK_SECONDS))
        for process in family:
            process.suspend()
        await asyncio.sleep(0.7)  # one look fails, and a second one is under way
        for process in family:
            process.resume()
        assert await server._get("/ping") is not None
        assert not waiting.done()
        for process in family:
            process.suspend()
        assert (await waiting).code is not None
        assert not any(process.is_running() for process in family)

    with_server(Command(), tmp_path, scenario)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (Command(delay=-1), "ended with code 1: ValueError: no model"),
        (Command(status=500), "it was not healthy after 0.5 s"),
    ],
)
def test_a_start_that_fails_leaves_nothing(tmp_path: Path, command: Command, why: str) -> None:
    async def scenario(server: ModelServer) -> None:
        with pytest.raises(StartError) as raised:
            await server.start(0.5 if "healthy" in why else 60)
        assert str(raised.value) == why
        assert not psutil.pid_exists(server.pid)

    with_server(command, tmp_path, scenario)


def test_a_version_for_which_there_is_no_port_would_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise OSError(24, "Too many open files")

    nothing: Any = None
    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(StartError, match="no port for its process: Too many open files"):
        ModelServer(nothing, Path("/model"), ProcessContext({}, None), nothing)


@fake_clock
async def test_a_start_that_fails_leaves_its_slot_to_others() -> None:
    class Failing(ModelServer):
        async def _start(self, timeout: float) -> None:
            raise StartError(f"not healthy after {timeout} s")

    nothing: Any = None
    another: Any = object()
    context, slots = ProcessContext({}, None), ProcessSlots(1)
    server = Failing(nothing, Path("/model"), context, nothing, slots)
    with pytest.raises(StartError):
        await server.start(1)
    await asyncio.wait_for(slots.take(another), 10)
    await server.close(0)
    # And its port.
    with socket.socket() as others:
        others.bind(("127.0.0.1", server.port))


def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> None:
        starting = asyncio.create_task(server.start(60))
        while not server.pid:
            await asyncio.sleep(0.02)
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()
        assert not psutil.pid_exists(server.pid)

    with_server(Command(status=500), tmp_path, scenario)
