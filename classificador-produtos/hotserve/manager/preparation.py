"""What the start of a version needs: its files here, its server process, what opens its lane."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from hotserve.config.folders import disk_full, write_error
from hotserve.config.model_uri import ModelReference
from hotserve.config.settings import Settings
from hotserve.inputs import model_input
from hotserve.log import logger
from hotserve.manager.batch_opener import BatchOpener
from hotserve.manager.cache import Cache, content_of
from hotserve.manager.deployment import Deployment
from hotserve.manager.lane_opener import Installed, LaneOpener
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from hotserve.manager.registry import ModelVersion
from hotserve.manager.status import title
from hotserve.manager.verdict import Verdict
from hotserve.processes.guarded_process import ProcessContext, run_to_end
from hotserve.processes.model_server import ModelServer, StartError
from hotserve.processes.slots import ProcessSlots


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Prepares versions of the model that `reference` means."""

    settings: Settings
    reference: ModelReference
    cache: Cache
    environment: Mapping[str, str]
    session: aiohttp.ClientSession
    slots: ProcessSlots = field(default_factory=ProcessSlots)
    installed: Installed = field(default_factory=Installed)

    def is_cached(self, version: ModelVersion) -> bool:
        """Whether its files are here from an earlier start."""
        return self.reference.in_registry and self.cache.entry(version).is_complete()

    async def prepare(
        self,
        version: ModelVersion,
        *,
        refetch: bool,
        only_files: bool = False,
    ) -> Deployment:
        """Fetch it if need be; its process is not started yet, or waits for the files.

        Args:
            refetch: fetch it although it is in the cache.
            only_files: its process will not be needed.

        Raises:
            StartError: the files can't be had.
        """
        model, context = self.cache.entry(version).model, self._context(version)
        server = ModelServer(self.settings.command, model, context, self.session, self.slots)
        # Its process goes on once the files are there. Not where many models start in turn, and not
        # where only the files tell which folder it is.
        begins = self.reference.in_registry and not self.slots.are_few
        try:
            if begins and not (refetch or only_files or self.is_cached(version)):
                await server.begin()
            return await self._prepare(version, server, refetch=refetch)
        except BaseException as error:
            await server.close(grace=0.5)
            if isinstance(error, StartError) or not isinstance(error, Exception):
                raise
            # The files can be anything, and may do so to nothing but their version.
            logger.exception("the files of %s can't be read", title(version))
            raise StartError(f"its files can't be read: {error!r}") from error

    async def _prepare(
        self, version: ModelVersion, server: ModelServer, *, refetch: bool
    ) -> Deployment:
        folder = self.reference.path
        if folder is not None:
            version = await _with_content(version, folder)
        elif refetch or not self.is_cached(version):
            version = await self._fetched(version, refetch=refetch)
        entry = self.cache.entry(version)
        server.model = model = folder or entry.model
        in_use = contextlib.ExitStack()
        try:
            in_use.enter_context(entry.in_use())
            self.cache.prune(self.settings.keep_versions)
        except OSError as error:
            why = write_error(error, self.cache.folder)
            raise StartError(f"the cache can't be used: {why}") from None
        command, context = self.settings.command, self._context(version)
        mlmodel = model_input.read_mlmodel(model)
        deployment = Deployment(
            version,
            server,
            model_input.read(model, mlmodel),
            in_use,
            LaneFiles(entry.lane),
            model_input.expected(mlmodel),
            model_input.signature(mlmodel),
        )
        if self.settings.lane == "off":
            deployment.lane = LaneVerdict("shut", "it is switched off (--lane off)")
        else:
            deployment.opener = LaneOpener(
                command, model, deployment.files, context, self.installed
            )
        if self.settings.batching == "off":
            deployment.batching = Verdict("shut", "it is switched off (--batching off)")
        else:
            text_input, kept = deployment.text_input, entry.lane / "batching.json"
            deployment.batch_opener = BatchOpener(model, text_input, kept, context)
        return deployment

    def log(self, version: ModelVersion) -> Path | None:
        """Where its process writes to; None is hotserve's own output."""
        if self.settings.child_log == "-":
            return None
        name = version.version or "model"
        if self.settings.log_folder is None:
            return self.cache.folder / "logs" / f"{name}.log"
        # Of several models, two can have a version of one number.
        model = f"{self.cache.folder.name}-" if self.slots.are_few else ""
        return self.settings.log_folder / f"{model}{name}.log"

    def _context(self, version: ModelVersion) -> ProcessContext:
        label = f"[{version.version or version.name}] "
        if self.slots.are_few:
            label = f"[{version.name} {version.version}] "
        return ProcessContext(self.environment, self.log(version), label)

    async def _fetched(self, version: ModelVersion, *, refetch: bool) -> ModelVersion:
        """The version, once its files are in the cache; where they can't be had, what is there."""
        try:
            return await self._fetch(version, refetch=refetch)
        except StartError as error:
            cached = version if self.reference.in_registry else self.cache.last_served()
            if cached is None or not self.cache.entry(cached).is_complete():
                raise
            logger.warning("%s; the copy in the cache is used", error)
            return cached

    async def _fetch(self, version: ModelVersion, *, refetch: bool) -> ModelVersion:
        """Put its files into the cache, unless another hotserve with this cache just did."""
        try:
            async with self.cache.fetching():
                if refetch or not self.is_cached(version):
                    version = await self._download(version)
        except TimeoutError:
            seconds = self.settings.fetch_timeout
            raise StartError(f"its files were not there after {seconds:g} s") from None
        except OSError as error:
            why = write_error(error, self.cache.folder)
            raise StartError(f"it can't be kept in the cache: {why}") from None
        return version

    async def _download(self, version: ModelVersion) -> ModelVersion:
        """Have MLflow's own command get its files."""
        command, timeout = self.settings.command, self.settings.fetch_timeout
        is_registered = self.reference.in_registry
        uri = f"models:/{version.name}/{version.version}" if is_registered else version.source
        with self.cache.scratch() as scratch:
            async with self.slots.turn():
                end = await run_to_end(
                    command.download(uri, scratch), self._context(version), timeout=timeout
                )
            if end.code != 0:
                full = disk_full("\n".join(end.tail), self.cache.folder)
                why = full or end.error() or end.reason()
                raise StartError(f"its files can't be fetched: {why}")
            found = next(Path(scratch).glob("**/MLmodel"), None)
            if found is None:
                raise StartError("its files can't be fetched: there is no MLmodel among them")
            if not is_registered:
                version = await _with_content(version, found.parent)
            entry = self.cache.entry(version)
            self.cache.add(found.parent, entry, replace=is_registered)
        return version


async def _with_content(version: ModelVersion, model: Path) -> ModelVersion:
    try:
        return replace(version, content=await asyncio.to_thread(content_of, model))
    except OSError as error:
        raise StartError(f"its files can't be read: {error.strerror}") from None
