"""Asks the registry again and again which version is meant, and passes it on."""

from __future__ import annotations

import asyncio

from hotserve.config.model_uri import ModelReference
from hotserve.log import logger
from hotserve.manager.cache import Cache
from hotserve.manager.registry import Registry, RegistryUnavailable
from hotserve.manager.status import title
from hotserve.manager.switcher import Switcher

_LONGEST_DELAY = 10.0


async def follow(
    registry: Registry,
    reference: ModelReference,
    switcher: Switcher,
    cache: Cache,
    interval: float,
) -> None:
    """Never returns. While the registry is away, what is served stays.

    With nothing served yet and the registry away, the version that was served last begins.
    """
    follower = _Follower(registry, reference, switcher, cache)
    delay = interval
    while True:
        delay = interval if await follower.look() else min(2 * delay, max(_LONGEST_DELAY, interval))
        await asyncio.sleep(delay)


class _Follower:
    def __init__(
        self, registry: Registry, reference: ModelReference, switcher: Switcher, cache: Cache
    ) -> None:
        self._registry = registry
        self._reference = reference
        self._switcher = switcher
        self._cache = cache
        self._told: str | None = None

    async def look(self) -> bool:
        """Look once; whether the registry answered."""
        status = self._switcher.status
        try:
            resolution = await self._registry.resolve(self._reference)
        except RegistryUnavailable as error:
            self._tell(f"the registry is away: {error}")
            status.registry(str(error))
            self._begin_with_last_good(str(error))
            return False
        status.registry(None)
        if resolution.version is not None:
            self._told = None
            status.note(None)
            self._switcher.deploy(resolution.version)
            return True
        self._switcher.deploy_nothing()
        if served := self._switcher.active_version:
            reason = resolution.reason.removesuffix(" yet")
            note = f"{reason}; {title(served)} is served until there is"
            self._tell(note)
            status.note(note)
        else:
            self._tell(f"waiting: {resolution.reason}")
            status.waiting(resolution.reason)
        return True

    def _begin_with_last_good(self, error: str) -> None:
        if self._switcher.active_version is not None or self._switcher.is_starting:
            return
        version = self._cache.last_good()
        if version is None:
            self._switcher.status.waiting(
                f"the registry is away and no version was served before: {error}"
            )
            return
        note = f"the registry is away: {title(version)} is served from the cache"
        self._tell(note)
        self._switcher.status.note(note)
        self._switcher.deploy(version)

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            logger.info("%s", text)
