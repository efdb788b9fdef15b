"""The front workers: processes that share the public port; one that dies is replaced."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count as count_from

from hotserve.backoff import Backoff
from hotserve.config.tokens import Client
from hotserve.ipc import messages
from hotserve.ipc.channel import Channel
from hotserve.log import logger
from hotserve.manager.workers.metrics import Metrics
from hotserve.manager.workers.version_commit import Awaited, VersionCommit
from hotserve.processes.own_code import environment_of_own_code

_LONGEST_DELAY = 5.0
_REPORT_SECONDS = 2.0
"""For a worker to report; one that is slower counts as it last reported."""
_LONGEST_SILENCE = 30
"""Seconds between two reports of a worker, which come every second."""
_LONGEST_START = 120
"""Seconds to the first one."""


class WorkerPool:
    """Starts the workers, sends them what to serve, notices when an old process is idle.

    Args:
        count: how many.
        listeners: listening sockets; the workers inherit them.
        settings: the first message to each worker.
        metrics: adds up what the workers count.

    Attributes:
        restarts: workers that ended and were replaced so far.
        ready: set when the first worker answers.
        generations: numbers for the models' processes, none of them twice.
        on_model: called with each message about a model.
    """

    def __init__(
        self,
        count: int,
        listeners: Sequence[socket.socket],
        settings: messages.Configure,
        metrics: Metrics,
    ) -> None:
        self._count = count
        self._listeners = [listener.fileno() for listener in listeners]
        self._settings = settings
        self._channels: dict[int, Channel] = {}
        self._commit = VersionCommit(self._channels)
        self._drains = Awaited()
        self._metrics = metrics
        self._reports = Awaited()
        self._scrapes = count_from(1)
        self._answers: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._reported: set[int] = set()
        self.restarts = 0
        self.ready = asyncio.Event()
        self.generations = count_from(1)
        self.on_model: Callable[[messages.ModelMessage], None] = lambda _: None

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._supervise(slot)) for slot in range(self._count)]

    def publish(self, change: messages.Prepare) -> None:
        """Have every worker, those that start later included, serve that: all at once.

        A change is of one model; those of several models are committed in their order.
        """
        self._commit.prepare(change)

    def use_tokens(self, tokens: dict[str, Client]) -> None:
        """From now on clients have to show one of these."""
        self._settings = replace(self._settings, tokens=tokens)
        self._send_all(messages.UseTokens(tokens))

    def drained(self, generation: int) -> asyncio.Event:
        """Set once no worker has a request under way on that old process.

        To be called beside the `publish` that replaces it, with nothing awaited between.
        """
        return self._drains.begin(generation, self._channels)

    async def stop(self, seconds: float) -> None:
        """No new connections; open requests get `seconds`; then the workers are gone."""
        self._stopping.set()
        self._send_all(messages.Stop())
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        if late:
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await asyncio.wait(late)

    def _send_all(self, message: messages.Message) -> None:
        for channel in self._channels.values():
            channel.send(message)

    async def _answer_scrape(self, worker: int, scrape: messages.Scrape) -> None:
        """Have every worker report first.

        What a client was answered before it asks for `/metrics` is therefore in it, whichever
        worker gave the answer.
        """
        number = next(self._scrapes)
        reported = self._reports.begin(number, self._channels)
        self._send_all(messages.ReportCounts(number))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reported.wait(), _REPORT_SECONDS)
        if worker in self._channels:
            content_type, body = self._metrics.text(scrape.accept)
            answer = messages.MetricsAnswer(scrape.number, content_type, body.decode())
            self._channels[worker].send(answer)

    async def _supervise(self, slot: int) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(0.0, _LONGEST_DELAY)
        # Looked at before every start: what is begun after a stop would hold it up.
        while not self._stopping.is_set():
            started = loop.time()
            try:
                code = await self._run(slot)
            except OSError as error:
                code = error.errno or 1
            if self._stopping.is_set():
                return
            self.restarts += 1
            logger.warning("front worker %d ended (code %s); starting another", slot, code)
            with contextlib.suppress(TimeoutError):
                delay = backoff.delay(loop.time() - started)
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _run(self, slot: int) -> int:
        ours, theirs = socket.socketpair()
        inherited = (theirs.fileno(), self._commit.shared.fd, *self._listeners)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "hotserve.worker.main"),
                *(str(fd) for fd in inherited),
                pass_fds=inherited,
                stdin=asyncio.subprocess.DEVNULL,
                env=environment_of_own_code(os.environ),
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
        worker = process.pid
        channel = self._channels[worker] = await Channel.open(ours)
        channel.send(self._settings)
        self._commit.joined(worker)
        # It may send requests to a process that is about to be replaced.
        self._drains.joined(worker, self._commit.generations())
        if self._stopping.is_set():
            channel.send(messages.Stop())
        watch = asyncio.create_task(self._kill_when_silent(process))
        async for message in channel.messages():
            self._reported.add(worker)
            self._receive(worker, message)
        watch.cancel()
        del self._channels[worker]
        channel.close()
        self._commit.gone(worker)
        self._metrics.gone(worker)
        self._reports.gone(worker)
        self._drains.gone(worker)
        code = await process.wait()
        del self._processes[slot]
        return code

    async def _kill_when_silent(self, process: asyncio.subprocess.Process) -> None:
        """A worker that hangs holds its connections, and those that it is given.

        Seconds are counted one by one: the whole machine may have stood still.
        """
        silent = -_LONGEST_START
        while silent < _LONGEST_SILENCE:
            await asyncio.sleep(1)
            silent = 0 if process.pid in self._reported else silent + 1
            self._reported.discard(process.pid)
        logger.error("a front worker hangs; ending it")
        process.kill()

    def _receive(self, worker: int, message: messages.Message) -> None:
        match message:
            case messages.Counts():
                self._metrics.add(worker, message.counts)
                self._reports.done(worker, message.scrape)
            case messages.Scrape():
                task = asyncio.create_task(self._answer_scrape(worker, message))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)
            case messages.Acknowledge(number):
                self._commit.acknowledged(worker, number)
            case messages.Ready():
                self.ready.set()
            case messages.Idle(generation):
                self._drains.done(worker, generation)
            case messages.InUse() | messages.Wake() | messages.BatchingFailed():
                self.on_model(message)
            case messages.LogError(text):
                logger.error("%s", text)
