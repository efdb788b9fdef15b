"""Reads the token file again when it changes, so that a token can be replaced without a stop."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from hotserve.config.errors import UsageError
from hotserve.config.tokens import Client, of_file
from hotserve.log import logger
from hotserve.manager.workers.pool import WorkerPool

_INTERVAL = 0.25


async def follow(file: str, known_tokens: Mapping[str, Client] | None, pool: WorkerPool) -> None:
    """Tell the workers what the file holds whenever that is another; never returns.

    A file that is gone or can't be used changes nothing; one without a token lets nobody in.

    Args:
        known_tokens: what it held when it was read for them first.
    """
    path = Path(file).expanduser()
    # It may have been changed since then.
    known: object = "not looked at yet"
    before = None
    while True:
        await asyncio.sleep(_INTERVAL)
        found = _look(path)
        # Once more, as somebody may be writing it: only what stays for a moment counts.
        if found == known or found != before:
            before = found
            continue
        known = found
        try:
            tokens = of_file(file)
        except UsageError as error:
            logger.error("%s; the tokens of before still count", error)
            continue
        if tokens == known_tokens:
            continue
        known_tokens = tokens
        pool.use_tokens(tokens)
        logger.info("the token file was read again: %d tokens", len(tokens))
        if not tokens:
            logger.error("the token file %s holds no token: nobody is answered", file)


def _look(path: Path) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        stat = os.stat(path)
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
    return None
