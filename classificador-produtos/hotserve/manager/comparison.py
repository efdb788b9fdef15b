"""The version of another stage or alias, shown beside the one that answers.

It has no process: its model is compiled, and from that the front workers explain what it would
answer.
"""

import asyncio
import contextlib
import math
import time
from dataclasses import dataclass, field
from functools import partial

from hotserve.backoff import Backoff
from hotserve.config.model_uri import ModelReference
from hotserve.ipc.messages import LaneTarget
from hotserve.lane import Lane, LaneError
from hotserve.log import logger
from hotserve.manager.mlflow_api import RegistryUnavailable
from hotserve.manager.registry import ModelVersion, Registry
from hotserve.manager.switcher import Switcher
from hotserve.manager.verdict import NoVerdict
from hotserve.processes.model_server import StartError

_backoff = partial(Backoff, 5.0, 300.0)


@dataclass(slots=True)
class Comparison:
    """Keeps what is shown beside at the version that `reference` means.

    Nothing depends on it: while the registry is away it stays as it is. Files that can't be had are
    tried again, more and more seldom.
    """

    registry: Registry
    reference: ModelReference
    switcher: Switcher
    _shown: object = None
    _retry_at: float = math.inf
    _backoff: Backoff = field(default_factory=_backoff)
    _in_use: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    async def follow(self, interval: float) -> None:
        """Look every `interval` seconds; never returns."""
        while True:
            with contextlib.suppress(RegistryUnavailable):
                await self.look()
            await asyncio.sleep(interval)

    async def look(self) -> None:
        """Look once; a version that is on its way to answer comes first.

        Raises:
            RegistryUnavailable: the registry did not answer.
        """
        active = self.switcher.active_version
        if active is None or self.switcher.is_starting:
            return
        version = (await self.registry.resolve(self.reference)).version
        if version is not None and version.identity == active.identity:
            version = None
        identity = version.identity if version else None
        if identity != self._shown:
            self._backoff = _backoff()
        elif time.monotonic() < self._retry_at:
            return
        self._shown, self._retry_at = identity, math.inf
        if version is None:
            self._in_use.close()
            self.switcher.show_beside(None, None)
        else:
            await self._show(version)

    async def _show(self, version: ModelVersion) -> None:
        shown: dict[str, object] = {"label": self.reference.describe(), "version": version.label}
        self.switcher.show_beside(None, {**shown, "state": "compiling", "why": None})
        with contextlib.ExitStack() as in_use:
            try:
                target = await self._compiled(version, in_use)
            except (StartError, NoVerdict, LaneError) as error:
                if isinstance(error, StartError):
                    self._retry_at = time.monotonic() + self._backoff.delay()
                logger.info("version %s is not shown beside: %s", version.label, error)
                self.switcher.show_beside(None, {**shown, "state": "shut", "why": str(error)})
                return
            before, self._in_use = self._in_use, in_use.pop_all()
            self.switcher.show_beside(target, {**shown, "state": "open", "why": None})
            before.close()

    async def _compiled(self, version: ModelVersion, in_use: contextlib.ExitStack) -> LaneTarget:
        preparation = self.switcher.preparation
        deployment = await preparation.prepare(version, refetch=False, only_files=True)
        in_use.callback(deployment.in_use.close)
        if deployment.opener is None:
            raise NoVerdict(deployment.lane.why)
        if (verdict := await deployment.opener.compile()) is not None:
            raise NoVerdict(verdict.why)
        path = str(deployment.files.compiled)
        checksum = (await asyncio.to_thread(Lane, path)).checksum
        return LaneTarget(path, checksum, version.label, "", (), False, ())
