"""The process behind the `hotserve` command: holds the port, runs workers and server processes."""

import asyncio
import contextlib
import ctypes
import dataclasses
import errno
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from hotserve.config.errors import UsageError
from hotserve.config.model_uri import ModelReference
from hotserve.config.registry_credentials import Connection
from hotserve.config.settings import Settings
from hotserve.ipc.messages import Configure
from hotserve.log import logger
from hotserve.manager.comparison import Comparison
from hotserve.manager.models import Models
from hotserve.manager.registry import ModelVersion, connected
from hotserve.manager.watcher import Watcher
from hotserve.manager.workers import token_watch
from hotserve.manager.workers.metrics import Metrics
from hotserve.manager.workers.pool import WorkerPool
from hotserve.processes.guarded_process import ProcessContext, run_to_end
from hotserve.redaction import Redactor

_PR_SET_CHILD_SUBREAPER = 36
_BACKLOG = 2048
_FILES_OF_MANY = 1 << 16
"""That may be open: for each model a port and a file in the cache are."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`.

    Raises:
        UsageError: the port is in use, the host is unknown, or it is not allowed.
    """
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            listeners.append(socket.create_server(address, family=family, backlog=_BACKLOG))
            listeners[-1].setblocking(False)
    except (socket.gaierror, UnicodeError):
        raise UsageError(f"the host '{host}' of -h is not known") from None
    except OSError as error:
        for listener in listeners:
            listener.close()
        in_use = error.errno == errno.EADDRINUSE
        reason = "it is in use" if in_use else os.strerror(error.errno or 0).lower()
        raise UsageError(f"can't listen on {host} port {port}: {reason}") from None
    return listeners


async def run(
    settings: Settings,
    reference: ModelReference,
    connection: Connection | None,
    scope: Sequence[str],
    listeners: list[socket.socket],
    environment: Mapping[str, str],
) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP; returns the exit code.

    Args:
        scope: what the reference is looked up in, without secrets.

    Raises:
        UsageError: the cache can't be written to, or there is nothing to compare with by that name.
    """
    beside = reference.beside(settings.compare)
    # A server process whose guard was killed becomes ours, not init's, until it is gone.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if reference.is_pattern:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(_FILES_OF_MANY, hard)), hard))
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signalled.set)
    folders = _private_folders(settings)
    children = _child_environment(environment, settings.command.workers)
    metrics = Metrics(lambda: models.state())
    configure = _configure(settings, reference, folders)
    pool = WorkerPool(settings.workers, listeners, configure, metrics)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(_loopback_session())
        models = Models(settings, reference, scope, pool, children, session, Redactor(folders))
        pool.start()
        jobs: list[Coroutine[Any, Any, None]] = [
            _stop_when(signalled),
            _log_when_ready(pool, settings),
            _check_options(settings, children),
            models.show_seen(metrics.seen),
        ]
        if reference.is_pattern:
            jobs.append(models.slots.watch())
        if settings.token_file:
            jobs.append(token_watch.follow(settings.token_file, settings.tokens, pool))
        if connection is not None and reference.in_registry:
            registry = await stack.enter_async_context(connected(connection))
            jobs.append(Watcher(registry, models).follow(settings.poll_interval))
            if beside is not None:
                registry = await stack.enter_async_context(connected(connection))
                comparison = Comparison(registry, beside, models.by_name[reference.name].switcher)
                jobs.append(comparison.follow(settings.poll_interval))
        else:
            models.by_name[reference.name].switcher.deploy(_fixed(reference))
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            # A failure in one of them is a fault of ours: it must not look like a clean stop.
            await asyncio.gather(*tasks)
        except _Stopped as stopped:
            code: int = stopped.args[0]
        finally:
            logger.info("stopping")
            for listener in listeners:
                listener.close()
            for task in tasks:
                task.cancel()
            await pool.stop(settings.stop_timeout + 1)
            await models.close()
            await asyncio.wait(tasks)
    logger.info("stopped")
    return code


class _Stopped(Exception):
    """Ends all jobs, with this exit code."""


async def _stop_when(signalled: asyncio.Event) -> None:
    await signalled.wait()
    raise _Stopped(0)


async def _check_options(settings: Settings, environment: Mapping[str, str]) -> None:
    """Have MLflow look at options that only it may know; a stop, if it does not."""
    if not settings.command.unknown:
        return
    context = ProcessContext(environment, Path(os.devnull))
    end = await run_to_end(settings.command.check(), context)
    if end.code == 2:
        logger.error("mlflow models serve: %s", end.error().removeprefix("Error: "))
        raise _Stopped(2)


async def _log_when_ready(pool: WorkerPool, settings: Settings) -> None:
    await pool.ready.wait()
    host = f"[{settings.command.host}]" if ":" in settings.command.host else settings.command.host
    logger.info("listening on http://%s:%d", host, settings.command.port)


def _fixed(reference: ModelReference) -> ModelVersion:
    """A model that no registry numbers, as a version without a number."""
    model_id = reference.name if reference.kind == "logged_model" else ""
    return ModelVersion(
        reference.name, "", run_id=reference.run_id, model_id=model_id, source=reference.uri
    )


def _loopback_session() -> aiohttp.ClientSession:
    # Never through a proxy, never with a cookie: this one talks to our own processes.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True), cookie_jar=aiohttp.DummyCookieJar()
    )


def _child_environment(environment: Mapping[str, str], workers: int) -> dict[str, str]:
    """What the wrapped command sees: the user's variables, none of ours.

    uvicorn writes a line for each request unless told otherwise; hotserve is the one to say
    whether requests are logged. OpenMP's threads (scikit-learn's trees, XGBoost, LightGBM, torch)
    are one for each core in each of its `workers` unless told otherwise, and keep it busy for a
    moment after each prediction: HTTP on both sides of it waits for a core meanwhile.
    """
    threads = max(1, (len(os.sched_getaffinity(0)) - 1) // max(1, workers))
    quiet = {"UVICORN_ACCESS_LOG": "false", "OMP_WAIT_POLICY": "passive"}
    kept = {k: v for k, v in environment.items() if not k.startswith("HOTSERVE_")}
    return quiet | {"OMP_NUM_THREADS": str(threads)} | kept


def _configure(
    settings: Settings, reference: ModelReference, folders: tuple[str, ...]
) -> Configure:
    only = "" if reference.is_pattern else reference.name
    same = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return Configure(**same, model=only, private_folders=folders)


def _private_folders(settings: Settings) -> tuple[str, ...]:
    """Folders whose names are not shown in an answer."""
    return (
        *(sys.prefix, sys.base_prefix, tempfile.gettempdir(), str(settings.cache)),
        *(os.path.expanduser("~"), os.getcwd()),
    )
