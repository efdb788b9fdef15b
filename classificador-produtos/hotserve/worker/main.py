"""A front worker: answers on the shared port until the manager stops it or is gone."""

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
from dataclasses import dataclass, replace

import uvicorn
import uvloop

from hotserve.ipc import messages
from hotserve.ipc.channel import Channel
from hotserve.ipc.shared_version import SharedVersion
from hotserve.lane import LaneError
from hotserve.redaction import Redactor
from hotserve.worker.access_log import AccessLog
from hotserve.worker.admission import BODIES, Admission, Room
from hotserve.worker.app import App
from hotserve.worker.auth import Auth
from hotserve.worker.cors import Cors
from hotserve.worker.counters import Counters
from hotserve.worker.errors import FaultLog
from hotserve.worker.fast_lane import FastLane
from hotserve.worker.http.fast_path import FastPathProtocol
from hotserve.worker.http.protocol import check_timeouts
from hotserve.worker.model_paths import Model
from hotserve.worker.models import Models
from hotserve.worker.reporter import Reporter
from hotserve.worker.serving import Prepared, Serving
from hotserve.worker.shared import Shared
from hotserve.worker.upstream.batcher import Batcher
from hotserve.worker.upstream.client import UpstreamClient
from hotserve.worker.upstream.pool import ConnectionPool

_LAST_MOMENT = 1.0
"""Seconds until a worker without a manager ends, whatever is still open."""
_TICKS_PER_CHECK = 10
_OTHER_FILES = 128
"""Open files that are no client's connections, with a margin."""
_FILES_OF_MANY = 2048
"""The same where many models are served: each lane is one."""


class _Server(uvicorn.Server):
    """uvicorn on sockets that are open already, stopped by the manager and not by signals."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

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
        if counter % _TICKS_PER_CHECK == 0:
            check_timeouts(self.server_state.connections, time.monotonic())
        return await super().on_tick(counter)


async def serve(channel_fd: int, shared_fd: int, listener_fds: list[int]) -> None:
    """Serve on the inherited listening sockets, as the manager says over `channel_fd`."""
    channel = await Channel.open(socket.socket(fileno=channel_fd))
    received = channel.messages()
    settings = await anext(received, None)
    if not isinstance(settings, messages.Configure):
        return
    settings = _within_open_files(settings)
    shared = Shared(
        settings,
        Auth(settings.tokens),
        Cors(settings.cors_origins),
        Counters(),
        FaultLog(lambda text: channel.send(messages.LogError(text))),
        AccessLog(proxies=settings.forwarded_allow_ips) if settings.access_log else None,
    )
    room = None if settings.model else Room(BODIES * settings.max_body)
    make = functools.partial(_model, shared, channel, SharedVersion(shared_fd), room)
    models = Models(settings.model, make)
    reporter = Reporter(models, channel)
    inbox = _Inbox(channel, models, reporter, shared.auth)
    async for message in received:
        if isinstance(message, messages.Stop):
            return
        inbox.take(message)
        if isinstance(message, messages.Commit):
            break
    else:
        return
    app = App(shared, models, reporter.metrics)
    protocol = functools.partial(FastPathProtocol, shared=shared, models=models)
    config = _uvicorn_config(app, settings, protocol)
    server = _Server(config, lambda: channel.send(messages.Ready()))
    reporting = asyncio.create_task(reporter.run())
    listening = asyncio.create_task(_listen(server, received, inbox))
    await server.serve([socket.socket(fileno=fd) for fd in listener_fds])
    listening.cancel()
    reporting.cancel()


def _model(
    shared: Shared, channel: Channel, version: SharedVersion, room: Room | None, name: str
) -> Model:
    """What is the own of the model of that name."""
    settings = shared.settings
    counters = shared.counters if name == settings.model else Counters()
    serving = Serving(
        lambda old: channel.send(messages.Idle(old)),
        lambda: channel.send(messages.Wake(name)),
        version,
    )

    def batching_failed(label: str, why: str) -> None:
        channel.send(messages.BatchingFailed(name, label, why))

    batcher = Batcher(ConnectionPool(settings.request_timeout), counters, batching_failed)
    redactor = Redactor(settings.private_folders)
    upstream = UpstreamClient(shared, serving, counters, batcher, redactor)
    admission = Admission(settings.max_concurrency, settings.max_body, room)
    return Model(name, upstream, admission)


@dataclass(slots=True)
class _Inbox:
    """Hands the manager's messages to those whom they concern."""

    channel: Channel
    models: Models
    reporter: Reporter
    auth: Auth

    def take(self, message: messages.Message) -> None:
        """Do what a message says."""
        match message:
            case messages.Prepare() as change:
                model = self.models.take(change.name)
                before = model.serving.prepared
                lane = self._opened(model, change.lane, before.lane, "use the fast lane")
                compared = self._opened(model, change.compared, before.compared, "compare")
                model.serving.prepare(Prepared(change, lane, compared))
                self.channel.send(messages.Acknowledge(change.number))
            case messages.Commit():
                for model in self.models.everything():
                    model.serving.now()
            case messages.UseTokens(tokens):
                self.auth.use(tokens)
            case messages.ReportCounts(scrape):
                self.reporter.report(scrape)
            case messages.MetricsAnswer():
                self.reporter.answered(message)

    def _opened(
        self,
        model: Model,
        target: messages.LaneTarget | None,
        known: FastLane | None,
        problem: str,
    ) -> FastLane | None:
        """The lane that is open already, or a new one; None where there is none to be had."""
        if known is not None and known.target == target:
            return known
        try:
            return FastLane(target, model.counters) if target else None
        except LaneError as error:
            self.channel.send(messages.LogError(f"a front worker can't {problem}: {error}"))
            return None


def _uvicorn_config(
    app: App, settings: messages.Configure, protocol: Callable[..., asyncio.Protocol]
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
        headers=[("vary", "Origin")] if settings.cors_origins else None,
        timeout_graceful_shutdown=settings.stop_timeout,  # type: ignore[arg-type]
    )


def _within_open_files(settings: messages.Configure) -> messages.Configure:
    """The settings with as many connections as this process may have open.

    More open files are asked for first.
    """
    # Every connection is an open file, and so is each request that goes to the process.
    others = _OTHER_FILES if settings.model else _FILES_OF_MANY
    needed = settings.max_connections + settings.max_concurrency + others
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    spare = soft - settings.max_concurrency - others
    return replace(settings, max_connections=max(1, min(settings.max_connections, spare)))


async def _listen(
    server: uvicorn.Server, received: AsyncIterator[messages.Message], inbox: _Inbox
) -> None:
    async for message in received:
        inbox.take(message)
        if isinstance(message, messages.Stop):
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
