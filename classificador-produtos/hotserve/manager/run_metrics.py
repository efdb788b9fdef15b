"""The figures of the run that the served version came from, for `/model`.

Nothing depends on them: where they can't be read, service goes on without.
"""

from __future__ import annotations

import asyncio

from hotserve.manager.cache import Cache
from hotserve.manager.registry import Registry, RegistryUnavailable
from hotserve.manager.switcher import Switcher

_RETRY_SECONDS = 5.0


async def follow(registry: Registry, switcher: Switcher, cache: Cache, interval: float) -> None:
    """Never returns. Reads a version's figures once it is served, and keeps them in the cache."""
    read = None
    while True:
        delay = interval
        version = switcher.active_version
        if version is not None and version.identity != read:
            entry = cache.entry(version)
            if (known := entry.metrics()) is not None:
                switcher.status.metrics(version, known)
            try:
                # A run may have got more figures since they were put into the cache.
                metrics = await registry.run_metrics(version.run_id) if version.run_id else {}
            except RegistryUnavailable:
                delay = max(interval, _RETRY_SECONDS)
            else:
                read = version.identity
                switcher.status.metrics(version, metrics)
                entry.save_metrics(metrics)
        await asyncio.sleep(delay)
