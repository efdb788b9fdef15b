"""The front workers: processes that share the public port; one that dies is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hotserve.ipc.channel import Channel
from hotserve.log import logger
from hotserve.manager.metrics import Metrics
from hotserve.manager.scrapes import Scrapes
from hotserve.manager.version_commit import Announcements

_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_SHORT_LIFE = 5.0
_LONGEST_DELAY = 5.0


class WorkerPool:
    """Starts the workers, tells them what to serve, hears when an old process is idle.

    Args:
        count: how many.
        listeners: listening sockets; the workers inherit them.
        settings: the first message to each worker.

    Attributes:
        news: what the workers were told last.
        restarts: workers that ended and were replaced so far.
        metrics: adds up what the workers count.
    """

    def __init__(
        self, count: int, listeners: Sequence[socket.socket], settings: Mapping[str, Any]
    ) -> None:
        self._count = count
        self._listeners = [listener.fileno() for listener in listeners]
        self._settings = dict(settings)
        self.news: dict[str, Any] = {"target": None, "model": {}, "hold": False, "lane": None}
        self._channels: dict[int, Channel] = {}
        self._announcements = Announcements(self._channels, self.news)
        self._busy: dict[int, set[int]] = {}
        self._idle: dict[int, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._scrapes: Scrapes | None = None
        self.restarts = 0
        self.ready = asyncio.Event()

    def start(self, metrics: Metrics) -> None:
        """Begin; `ready` is set when the first worker answers. Counts are added to `metrics`."""
        self._scrapes = Scrapes(self._channels, metrics)
        self._tasks = [asyncio.create_task(self._keep(slot)) for slot in range(self._count)]

    def publish(
        self,
        target: Mapping[str, Any] | None,
        model: Mapping[str, Any],
        hold: bool,
        lane: Mapping[str, Any] | None,
    ) -> None:
        """Have every worker, those that start later included, serve that: all at once."""
        self.news = {"target": target, "model": model, "hold": hold, "lane": lane}
        self._announcements.announce(self.news)

    def admit(self, tokens: Sequence[str]) -> None:
        """From now on clients have to show one of these."""
        self._settings["tokens"] = tokens
        for channel in self._channels.values():
            channel.send("tokens", tokens=tokens)

    def retired(self, generation: int) -> asyncio.Event:
        """Set once no worker has a request under way on that old process.

        To be called in the same breath as the `publish` that replaced it.
        """
        event = self._idle[generation] = asyncio.Event()
        self._busy[generation] = set(self._channels)
        self._forget_idle()
        return event

    async def stop(self, seconds: float) -> None:
        """No new connections; open requests get `seconds`; then the workers are gone."""
        self._stopping.set()
        for channel in self._channels.values():
            channel.send("stop")
        _, late = await asyncio.wait(self._tasks, timeout=seconds) if self._tasks else (None, ())
        if late:
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await asyncio.wait(late)

    async def _keep(self, slot: int) -> None:
        delay = 0.0
        # Looked at before every start: what is begun after a stop would hold it up.
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                code = await self._run(slot)
            except OSError as error:
                code = error.errno or 1
            if self._stopping.is_set():
                return
            delay = (
                min(max(2 * delay, 0.25), _LONGEST_DELAY)
                if time.monotonic() - begun < _SHORT_LIFE
                else 0.0
            )
            self.restarts += 1
            logger.warning("front worker %d ended (code %s); starting another", slot, code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _run(self, slot: int) -> int:
        ours, theirs = socket.socketpair()
        inherited = (theirs.fileno(), self._announcements.agreement.fd, *self._listeners)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "hotserve.worker.main"),
                *(str(fd) for fd in inherited),
                pass_fds=inherited,
                stdin=asyncio.subprocess.DEVNULL,
                env=_environment(),
                # Out of reach of a Ctrl-C in the terminal, from its first moment: it is the
                # manager that says when to stop. (uvloop would not hand on a signal ignored.)
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._processes[slot] = process
        channel = self._channels[process.pid] = await Channel.open(ours)
        channel.send("settings", **self._settings)
        self._announcements.joined(process.pid)
        self._expect_idle(process.pid)
        if self._stopping.is_set():
            channel.send("stop")
        assert self._scrapes is not None, "not started"
        async for message in channel.messages():
            if message["type"] == "counts":
                self._scrapes.reported(process.pid, message)
            elif message["type"] == "scrape":
                self._scrapes.asked(process.pid, message)
            elif message["type"] == "heard":
                self._announcements.heard(process.pid, message["number"])
            elif message["type"] == "ready":
                self.ready.set()
            elif message["type"] == "idle":
                self._busy.get(message["generation"], set()).discard(process.pid)
                self._forget_idle()
            elif message["type"] == "lane-error":
                logger.error("a front worker can't use the fast lane: %s", message["message"])
            elif message["type"] == "fault":
                logger.error("a request failed by a fault of hotserve: %s", message["message"])
        del self._channels[process.pid]
        channel.close()
        self._announcements.gone(process.pid)
        self._scrapes.gone(process.pid)
        for busy in self._busy.values():
            busy.discard(process.pid)
        self._forget_idle()
        code = await process.wait()
        self._processes.pop(slot, None)
        return code

    def _expect_idle(self, worker: int) -> None:
        """A new worker may send requests to a process that is about to be replaced."""
        for news in self._announcements.open:
            if news["target"] is not None and news["target"]["generation"] in self._busy:
                self._busy[news["target"]["generation"]].add(worker)

    def _forget_idle(self) -> None:
        for generation in [g for g, busy in self._busy.items() if not busy]:
            del self._busy[generation]
            self._idle.pop(generation).set()


def _environment() -> dict[str, str]:
    """This process's variables, with the place of this package: workers run the same code."""
    paths = [_PACKAGE_PARENT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
