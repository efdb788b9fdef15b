"""A front worker: answers on the shared port until the manager stops it or is gone."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
import uvloop

from hotserve.ipc.channel import Channel
from hotserve.ipc.messages import (
    Acknowledge,
    Commit,
    Configure,
    Idle,
    LaneTarget,
    LogError,
    Message,
    MetricsAnswer,
    Prepare,
    Ready,
    ReportCounts,
    Stop,
    UseTokens,
)
from hotserve.ipc.shared_version import SharedVersion
from hotserve.lane import LaneError
from hotserve.redaction import Redactor
from hotserve.worker import http_protocol
from hotserve.worker.access_log import AccessLog, Application, RequestLog
from hotserve.worker.app import App
from hotserve.worker.auth import Access
from hotserve.worker.counters import Tally
from hotserve.worker.fast_lane import FastLane
from hotserve.worker.fast_path import DirectProtocol
from hotserve.worker.http_limits import Limits
from hotserve.worker.http_protocol import LimitedProtocol
from hotserve.worker.reporter import Reporter
from hotserve.worker.serving import Prepared, Serving
from hotserve.worker.upstream.client import ProcessLane
from hotserve.worker.upstream.pool import Forwarder

_LAST_MOMENT = 1.0
"""Seconds until a worker without a manager ends, whatever is still open."""
_TICKS_OF_A_SWEEP = 10
_OTHER_FILES = 128
"""Open files that are no client's connections, with a margin."""


class _Server(uvicorn.Server):
    """uvicorn on sockets that are open already, stopped by the manager and not by signals."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_sweep: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_sweep = on_sweep

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # SIGINT stays ignored: the manager says when to stop.
        signal.signal(signal.SIGTERM, self.handle_exit)
        yield

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second."""
        if counter % _TICKS_OF_A_SWEEP == 0:
            http_protocol.sweep(self.server_state.connections, time.monotonic())
            self._on_sweep()
        return await super().on_tick(counter)


async def serve(channel_fd: int, shared_fd: int, listener_fds: list[int]) -> None:
    """Serve on the inherited listening sockets, as the manager says over `channel_fd`."""
    channel = await Channel.open(socket.socket(fileno=channel_fd))
    messages = channel.messages()
    settings = await anext(messages, None)
    if not isinstance(settings, Configure):
        return
    tally = Tally()
    serving = Serving(lambda generation: channel.send(Idle(generation)), SharedVersion(shared_fd))
    reporter = Reporter(tally, channel)
    access = Access(settings.tokens) if settings.tokens else None
    inbox = _Inbox(channel, serving, tally, reporter, access)
    async for message in messages:
        if isinstance(message, Stop):
            return
        inbox.take(message)
        if isinstance(message, Commit):
            break
    else:
        return
    forwarder = Forwarder(settings.request_timeout)
    request_log = RequestLog() if settings.access_log else None
    process = ProcessLane(
        serving,
        forwarder,
        Redactor(settings.private_folders),
        tally,
        hold_timeout=settings.hold_timeout,
        csv=settings.csv,
    )
    app = App(
        serving,
        process,
        max_body=settings.max_body,
        max_concurrency=settings.max_concurrency,
        access=access,
        on_fault=lambda text: channel.send(
            LogError(f"a request failed by a fault of hotserve: {text}")
        ),
        tally=tally,
        metrics=reporter.metrics,
    )
    application = AccessLog(app, request_log) if request_log is not None else app

    def refused(connection: LimitedProtocol, status: int, size: int | None) -> None:
        tally.other("none", status)
        if request_log is not None and size is not None:
            request_log.write(client=connection.client, status=status, size=size)

    protocol = functools.partial(
        DirectProtocol,
        limits=_limits(settings),
        on_refusal=refused,
        serving=serving,
        tally=tally,
        access=access,
        request_log=request_log,
    )
    config = _uvicorn_config(application, settings, protocol)
    server = _Server(config, on_ready=lambda: channel.send(Ready()), on_sweep=app.tidy)
    reporting = asyncio.create_task(reporter.run())
    listening = asyncio.create_task(_listen(server, messages, inbox))
    await server.serve([socket.socket(fileno=fd) for fd in listener_fds])
    listening.cancel()
    reporting.cancel()
    forwarder.close()


class _Inbox:
    """Hands the manager's messages to those whom they concern."""

    def __init__(
        self,
        channel: Channel,
        serving: Serving,
        tally: Tally,
        reporter: Reporter,
        access: Access | None,
    ) -> None:
        self._channel = channel
        self._serving = serving
        self._tally = tally
        self._reporter = reporter
        self._access = access

    def take(self, message: Message) -> None:
        """Do what a message says."""
        match message:
            case Prepare(number, target, model, hold, lane):
                opened = self._lane(lane) if lane else None
                self._serving.prepare(Prepared(number, target, model, hold, opened))
                self._channel.send(Acknowledge(number))
            case Commit():
                self._serving.now()
            case UseTokens(tokens) if self._access is not None:
                self._access.admit(tokens)
            case ReportCounts(scrape):
                self._reporter.report(scrape)
            case MetricsAnswer():
                self._reporter.answered(message)

    def _lane(self, target: LaneTarget) -> FastLane | None:
        """The lane that is open already, or a new one; without it requests go to the process."""
        known = self._serving.prepared.lane
        if known is not None and known.target == target:
            return known
        try:
            return FastLane(target, self._tally)
        except LaneError as error:
            self._channel.send(LogError(f"a front worker can't use the fast lane: {error}"))
            return None


def _uvicorn_config(
    app: Application, settings: Configure, protocol: Callable[..., asyncio.Protocol]
) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=settings.stop_timeout,  # type: ignore[arg-type]
    )


def _limits(settings: Configure) -> Limits:
    # Every connection is an open file, and so is each request that goes to the process.
    needed = settings.max_connections + settings.max_concurrency + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    spare = soft - settings.max_concurrency - _OTHER_FILES
    return Limits(
        read_timeout=settings.read_timeout,
        idle_timeout=settings.idle_timeout,
        connections=max(1, min(settings.max_connections, spare)),
    )


async def _listen(server: uvicorn.Server, messages: AsyncIterator[Message], inbox: _Inbox) -> None:
    async for message in messages:
        inbox.take(message)
        if isinstance(message, Stop):
            server.should_exit = True
    # The manager is gone, and with it the server processes: an answer is not to be had.
    server.should_exit = True
    server.force_exit = True
    asyncio.get_running_loop().call_later(_LAST_MOMENT, os._exit, 1)


def main() -> None:
    """`python -m hotserve.worker.main CHANNEL_FD SHARED_VERSION_FD LISTENER_FD…`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel, shared, *listeners = (int(text) for text in sys.argv[1:])
    uvloop.run(serve(channel, shared, listeners))


if __name__ == "__main__":
    main()
