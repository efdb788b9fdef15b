"""One `mlflow models serve` on a private port of the loopback."""

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from hotserve.config.mlflow_command import WrappedCommand
from hotserve.log import logger
from hotserve.processes import guard
from hotserve.processes.guarded_process import Exit, GuardedProcess, ProcessContext
from hotserve.processes.slots import ProcessSlots, Sleeper

_PING_TIMEOUT = aiohttp.ClientTimeout(total=5)
_PING_INTERVAL = 0.1
_LOOK_INTERVAL = 5.0
_LOOK_SECONDS = 10.0
"""Of a look at a process that hangs, with the time between."""
_SERVER_MODULE = "mlflow.pyfunc.scoring_server"


class StartError(Exception):
    """A version can't be fetched or would not start; the text says why in one line."""


@dataclass(eq=False)
class ModelServer:
    """The wrapped command for one model folder; it can be started again after it ended.

    Attributes:
        command: the wrapped command line.
        model: folder with the model.
        context: of the process.
        session: HTTP client of the manager.
        slots: for the process: it waits for one before it starts.
        port: of the loopback, where it listens.
        mlflow: the version that it runs, once it was healthy.
        memory, sleeper: see `Holder`.

    Raises:
        StartError: there is no port for it.
    """

    command: WrappedCommand
    model: Path
    context: ProcessContext
    session: aiohttp.ClientSession
    slots: ProcessSlots = field(default_factory=ProcessSlots)
    mlflow: str = ""
    memory: int = 0
    sleeper: Sleeper | None = None
    _process: GuardedProcess | None = None
    _begun: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Bound and not listening: nobody else is given the port, and the server process, which
        # sets SO_REUSEADDR too, can still bind it.
        try:
            self._reserved = socket.socket()
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind(("127.0.0.1", 0))
        except OSError as error:
            raise StartError(f"there is no port for its process: {error.strerror}") from None
        self.port: int = self._reserved.getsockname()[1]

    @property
    def pid(self) -> int:
        """Of the wrapped command."""
        return self._process.pid if self._process else 0

    async def begin(self) -> None:
        """Run the command before the model is there, if it can wait for that; `start` goes on."""
        if argv := self.command.python_server(str(self.model), self.port):
            self._process, self._begun = await GuardedProcess.start(argv, self.context), argv

    async def start(self, timeout: float) -> None:
        """Run the command and return when it is healthy; `mlflow` is its version then.

        Raises:
            StartError: it ended, or was not healthy after `timeout` seconds.
        """
        await self.slots.take(self)
        try:
            async with self.slots.turn(self):
                await self._start(timeout)
        except BaseException:
            self.slots.give_back(self)
            raise

    async def _start(self, timeout: float) -> None:
        argv, begun = self.command.serve(str(self.model), self.port), self._begun
        self._begun = []
        process = self._process
        if process is None or argv != begun:
            if begun:
                # The files say that the model is served otherwise.
                await self.stop(grace=0.5)
            self._process = process = await GuardedProcess.start(argv, self.context)
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        try:
            while True:
                if process.exited.done():
                    raise StartError(process.exited.result().reason())
                if await self._get("/ping") is not None:
                    break
                if clock() > deadline:
                    raise StartError(f"it was not healthy after {timeout:g} s")
                await asyncio.wait([process.exited], timeout=_PING_INTERVAL)
            self.mlflow = await self._get("/version") or ""
        except BaseException:
            await process.stop(grace=0.5)
            raise

    def interpreter(self) -> str | None:
        """The Python that runs the healthy server process: that of the model's own environment."""
        for pid in guard.descendants(self.pid):
            with contextlib.suppress(OSError):
                program, *words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                serves = any(word.startswith(_SERVER_MODULE) for word in words)
                # Not /proc/…/exe: of a virtual environment that is the Python that made it.
                if serves and os.path.isabs(program) and os.access(program, os.X_OK):
                    return program
        return None

    async def _get(self, path: str) -> str | None:
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            async with self.session.get(url, timeout=_PING_TIMEOUT) as response:
                return (await response.text()).strip() if response.status == 200 else None
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None

    def end(self) -> str | None:
        """Why the process is gone; None while it is there."""
        exited = self._process.exited if self._process else None
        return exited.result().reason() if exited is not None and exited.done() else None

    async def ended(self, patience: float) -> Exit:
        """Wait until the process is gone; it is ended if `/ping` gets no answer for `patience` s.

        Looks are counted, not seconds: the whole machine may have stood still.
        """
        assert self._process is not None, "never started"
        exited, unanswered = self._process.exited, 0
        while not (await asyncio.wait([exited], timeout=_LOOK_INTERVAL))[0]:
            unanswered = 0 if await self._get("/ping") is not None else unanswered + 1
            if unanswered * _LOOK_SECONDS > patience:
                logger.error("the model's process hangs; ending it")
                await self._process.stop(grace=1)
        self.slots.give_back(self)
        return exited.result()

    async def stop(self, grace: float) -> None:
        """Stop the process, leaving nothing of it; `grace` seconds before SIGKILL."""
        if self._process is not None:
            await self._process.stop(grace)
        self.slots.give_back(self)

    async def close(self, grace: float) -> None:
        """Stop the process for good: its port is free then."""
        await self.stop(grace)
        with contextlib.suppress(OSError):
            self._reserved.close()
