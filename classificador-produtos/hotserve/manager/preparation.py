"""What a start of a version needs: its files here, its server process, what opens its lane."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from hotserve.config.model_uri import ModelReference
from hotserve.config.settings import Settings
from hotserve.inputs import model_input as mlmodel
from hotserve.log import logger
from hotserve.manager.cache import Cache
from hotserve.manager.deployment import Deployment
from hotserve.manager.fetch import fetch
from hotserve.manager.lane_opener import LaneOpener
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from hotserve.manager.registry import ModelVersion
from hotserve.processes.model_server import ModelServer, StartError


class Starter:
    """Prepares versions of the model that `reference` means."""

    def __init__(
        self,
        settings: Settings,
        reference: ModelReference,
        *,
        cache: Cache,
        environment: Mapping[str, str],
        session: aiohttp.ClientSession,
    ) -> None:
        self._settings = settings
        self._reference = reference
        self._cache = cache
        self._environment = environment
        self._session = session

    def has(self, version: ModelVersion) -> bool:
        """Whether its files are in the cache, from an earlier start."""
        return self._reference.in_registry and self._cache.entry(version).is_complete()

    async def prepare(
        self, version: ModelVersion, hold: contextlib.ExitStack, *, anew: bool
    ) -> Deployment:
        """Fetch it if need be; its process is not started yet. `hold` keeps its files in the cache.

        Args:
            anew: fetch it although it is in the cache.

        Raises:
            StartError: the files can't be had.
        """
        if self._reference.kind == "path":
            model = self._reference.path
            files = LaneFiles(self._cache.loose_lane)
        else:
            entry = self._cache.entry(version)
            anew = anew or self._reference.kind == "remote"
            if anew or not entry.is_complete():
                await self._fetch(version, replace=anew)
            try:
                hold.enter_context(entry.in_use())
            except OSError as error:
                raise StartError(f"the cache can't be read: {error.strerror}") from None
            model = entry.model
            files = LaneFiles(entry.lane)
        server = ModelServer(
            self._settings.command,
            model,
            environment=self._environment,
            log=self.log(version),
            label=_label(version),
            session=self._session,
        )
        served = Deployment(version, server, mlmodel.read(model), contextlib.ExitStack(), files)
        served.opener = self._opener(served, model)
        return served

    def log(self, version: ModelVersion) -> Path | None:
        """Where its process writes to; None is hotserve's own output."""
        if self._settings.child_log == "-":
            return None
        folder = self._settings.log_folder or self._cache.logs
        return folder / f"{version.version or 'model'}.log"

    def _opener(self, served: Deployment, model: Path) -> LaneOpener | None:
        """What opens its lane; None, and the reason in `served.lane`, where none can be."""
        if self._settings.lane == "off":
            served.lane = LaneVerdict("shut", "it is switched off (--lane off)")
            return None
        return LaneOpener(
            self._settings.command,
            model,
            served.files,
            environment=self._environment,
            log=self.log(served.version),
            label=_label(served.version),
            keep=self._reference.in_registry,
        )

    async def _fetch(self, version: ModelVersion, *, replace: bool) -> None:
        uri = (
            f"models:/{version.name}/{version.version}"
            if self._reference.in_registry
            else self._reference.uri
        )
        entry = self._cache.entry(version)
        try:
            await fetch(
                uri,
                self._cache,
                entry,
                self._settings.command,
                environment=self._environment,
                log=self.log(version),
                label=_label(version),
                timeout=self._settings.fetch_timeout,
                replace=replace,
            )
        except StartError as error:
            if not entry.is_complete():
                raise
            logger.warning("%s; the copy in the cache is used", error)


def _label(version: ModelVersion) -> str:
    return f"[{version.version or version.name}] "
