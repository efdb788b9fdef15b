"""Fetches a model's files with MLflow's own command, in a process that ends afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from hotserve.config.mlflow_command import WrappedCommand
from hotserve.manager.cache import Cache, Entry
from hotserve.processes.guarded_process import GuardedProcess
from hotserve.processes.model_server import StartError


async def fetch(
    uri: str,
    cache: Cache,
    entry: Entry,
    command: WrappedCommand,
    *,
    environment: Mapping[str, str],
    log: Path | None,
    label: str,
    timeout: float,
    replace: bool,
) -> None:
    """Put the model behind `uri` into `entry`; `replace` what is there, or let it stay.

    Raises:
        StartError: MLflow could not fetch it, or there is no model in what it fetched.
    """
    with cache.room() as room:
        process = await GuardedProcess.start(
            command.download(uri, str(room)), environment=environment, log=log, label=label
        )
        try:
            end = await asyncio.wait_for(asyncio.shield(process.exited), timeout)
        except TimeoutError:
            await process.stop(grace=0.5)
            raise StartError(f"its files were not there after {timeout:g} s") from None
        except BaseException:
            await process.stop(grace=0.5)
            raise
        if end.code != 0:
            raise StartError(f"its files can't be fetched: {end.error() or end.reason()}")
        found = [room] if (room / "MLmodel").is_file() else [*room.glob("**/MLmodel")][:1]
        if not found:
            raise StartError("its files can't be fetched: there is no MLmodel file among them")
        fetched = found[0] if found[0].is_dir() else found[0].parent
        try:
            cache.keep(fetched, entry, replace=replace)
        except OSError as error:
            raise StartError(f"it can't be kept in the cache: {error.strerror}") from None
