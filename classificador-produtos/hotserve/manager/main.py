"""The process behind the `hotserve` command: keeps the workers, the server processes, the port."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import aiohttp

from hotserve.config.errors import UsageError
from hotserve.config.model_uri import ModelReference
from hotserve.config.registry_credentials import Connection
from hotserve.config.settings import Settings
from hotserve.log import logger
from hotserve.manager import run_metrics
from hotserve.manager import token_watch as token_file
from hotserve.manager.cache import Cache
from hotserve.manager.follower import follow
from hotserve.manager.metrics import Metrics, State
from hotserve.manager.registry import ModelVersion, Registry
from hotserve.manager.switcher import Switcher
from hotserve.manager.worker_pool import WorkerPool
from hotserve.processes.guarded_process import GuardedProcess
from hotserve.redaction import Redactor

_PR_SET_CHILD_SUBREAPER = 36
_BACKLOG = 2048


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`.

    Raises:
        UsageError: the port is in use, the host is unknown, or it is not allowed.
    """
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, proto=socket.IPPROTO_TCP
        )
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
    except OSError as error:
        for listener in listeners:
            listener.close()
        if isinstance(error, socket.gaierror):
            raise UsageError(f"the host '{host}' of -h is not known") from None
        reason = "it is in use" if error.errno == 98 else (error.strerror or "").lower()
        raise UsageError(f"can't listen on {host} port {port}: {reason}") from None
    return listeners


async def run(
    settings: Settings,
    reference: ModelReference,
    connection: Connection | None,
    cache: Cache,
    listeners: list[socket.socket],
    environment: Mapping[str, str],
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    # A server process whose guard was killed becomes ours, not init's, until it is gone.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    folders = _private_folders(settings)
    children = _child_environment(environment)
    pool = WorkerPool(settings.workers, listeners, _worker_settings(settings, folders))
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(_loopback_session())
        switcher = Switcher(
            settings,
            reference,
            cache=cache,
            environment=children,
            session=session,
            redactor=Redactor(folders),
        )
        switcher.use(pool)
        pool.start(Metrics(partial(_state, pool, switcher)))
        if connection is not None and reference.in_registry:
            registry = await stack.enter_async_context(Registry(connection))
            following = asyncio.create_task(
                follow(registry, reference, switcher, cache, settings.poll_interval)
            )
            figures = asyncio.create_task(
                run_metrics.follow(registry, switcher, cache, settings.poll_interval)
            )
        else:
            following = asyncio.create_task(_forever())
            figures = asyncio.create_task(_forever())
            switcher.want(_fixed(reference))
        tell = asyncio.create_task(_say_when_ready(pool, settings))
        admitting = asyncio.create_task(
            token_file.follow(settings.token_file, pool) if settings.token_file else _forever()
        )
        stopped = asyncio.create_task(stop.wait())
        checking = asyncio.create_task(_check_options(settings, children, stop))
        await asyncio.wait([stopped, following], return_when=asyncio.FIRST_COMPLETED)
        logger.info("stopping")
        for listener in listeners:
            listener.close()
        others = (figures, tell, admitting, stopped, checking)
        for task in (following, *others):
            task.cancel()
        await pool.stop(settings.stop_timeout + 1)
        await switcher.close()
        await asyncio.gather(following, *others, return_exceptions=True)
        # A failure in following is a fault of ours: it must not look like a clean stop.
        if not following.cancelled():
            following.result()
        refused = not checking.cancelled() and checking.result()
    logger.info("stopped")
    return 2 if refused else 0


def _state(pool: WorkerPool, switcher: Switcher) -> State:
    news, status = pool.news, switcher.status
    return State(
        model=status.to_json(),
        ready=bool(news["target"] or news["lane"]),
        switches=status.switched,
        failed_starts=status.failures,
        worker_restarts=pool.restarts,
    )


async def _check_options(
    settings: Settings, environment: Mapping[str, str], stop: asyncio.Event
) -> bool:
    """Have MLflow look at options that only it may know; True, and a stop, if it does not."""
    if not settings.command.unknown:
        return False
    process = await GuardedProcess.start(
        settings.command.check(), environment=environment, log=Path(os.devnull), label=""
    )
    try:
        end = await asyncio.shield(process.exited)
    except asyncio.CancelledError:
        await process.stop(grace=0.5)
        raise
    if end.code != 2:
        return False
    logger.error("mlflow models serve: %s", end.reason().removeprefix("Error: "))
    stop.set()
    return True


async def _forever() -> None:
    await asyncio.Event().wait()


async def _say_when_ready(pool: WorkerPool, settings: Settings) -> None:
    await pool.ready.wait()
    host = f"[{settings.command.host}]" if ":" in settings.command.host else settings.command.host
    logger.info("listening on http://%s:%d", host, settings.command.port)


def _fixed(reference: ModelReference) -> ModelVersion:
    """A model that no registry knows, as a version without a number."""
    return ModelVersion(
        name=reference.name,
        version="",
        stage="",
        aliases=(),
        run_id="",
        model_id=reference.name if reference.kind == "logged_model" else "",
        source=reference.uri,
        created=0,
        status="READY",
    )


def _loopback_session() -> aiohttp.ClientSession:
    # Never through a proxy, never with a cookie: this one talks to our own processes.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True), cookie_jar=aiohttp.DummyCookieJar()
    )


def _child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the wrapped command sees: the user's variables, none of ours.

    uvicorn writes a line for each request unless told otherwise; hotserve is the one to say
    whether requests are logged.
    """
    kept = {k: v for k, v in environment.items() if not k.startswith("HOTSERVE_")}
    return {"UVICORN_ACCESS_LOG": "false", **kept}


def _worker_settings(settings: Settings, folders: list[str]) -> dict[str, object]:
    return {
        "request_timeout": settings.command.timeout + 2,
        "hold_timeout": settings.hold_timeout,
        "stop_timeout": settings.stop_timeout,
        "read_timeout": settings.read_timeout,
        "idle_timeout": settings.idle_timeout,
        "max_connections": settings.max_connections,
        "max_concurrency": settings.max_concurrency,
        "max_body": settings.max_body,
        "csv": settings.csv,
        "private_folders": folders,
        "tokens": settings.tokens,
        "access_log": settings.access_log,
    }


def _private_folders(settings: Settings) -> list[str]:
    """Folders whose names have no place in an answer."""
    return [
        *(sys.prefix, sys.base_prefix, tempfile.gettempdir(), str(settings.cache)),
        *(os.path.expanduser("~"), os.getcwd()),
    ]
