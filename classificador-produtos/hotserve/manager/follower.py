"""What follows for one model from what the registry says, or from its silence."""

import time
from dataclasses import dataclass, field

from hotserve.log import Once
from hotserve.manager.cache import Cache
from hotserve.manager.deployment import Deployment
from hotserve.manager.mlflow_api import RegistryUnavailable
from hotserve.manager.registry import Registry, Resolution
from hotserve.manager.status import title
from hotserve.manager.switcher import Switcher

_METRICS_SECONDS = 30.0
"""Until a run is asked for again that could not be read: it may be one that nobody lets us read."""


@dataclass(slots=True)
class Follower:
    """One model: keeps its switcher at the version that is meant."""

    switcher: Switcher
    cache: Cache
    _log: Once = field(default_factory=Once)
    _measured: Deployment | None = None
    _ask_again: float = 0.0
    _taken: Resolution | None = None

    async def take(self, resolution: Resolution, registry: Registry) -> None:
        """The registry answered, and says what is meant now.

        Raises:
            RegistryUnavailable: it did not answer when it was asked for more.
        """
        is_known = resolution.changed is not None and resolution == self._taken
        if is_known and resolution.version in (None, self.switcher.active_version):
            # Many models are looked at each second, and few of them were changed.
            return
        self._taken = None
        if resolution.version is None:
            await self._nothing_meant(resolution, registry)
        self.switcher.status.registry(None)
        if resolution.version is not None:
            note = _several(resolution)
            self._log.info(note)
            self.switcher.status.note(note or None)
            self.switcher.deploy(resolution.version)
        self._taken = resolution

    def registry_is_away(self, error: str) -> None:
        """What is served stays; with nothing served yet, the version served last begins."""
        self._taken = None
        switcher, status = self.switcher, self.switcher.status
        status.registry(error)
        if switcher.active_version is not None or switcher.is_starting:
            return
        version = self.cache.last_served()
        if version is None:
            status.waiting(f"the registry is away and no version was served before: {error}")
            return
        note = f"the registry is away: {title(version)} is served from the cache"
        self._log.info(note)
        status.note(note)
        switcher.deploy(version)

    async def show_metrics(self, registry: Registry | None) -> None:
        """The figures of the served version's run, for `/model`: from the cache, then from MLflow.

        Nothing depends on them: where they can't be read, service goes on without.

        Args:
            registry: None while it is away.
        """
        active, publisher = self.switcher.publisher.active, self.switcher.publisher
        if active is None or active is self._measured:
            return
        run_id, entry = active.version.run_id, self.cache.entry(active.version)
        if active.metrics is None:
            active.metrics = entry.metrics()
        if registry is not None and time.monotonic() >= self._ask_again:
            try:
                # A run may have got more figures since they were put into the cache.
                active.metrics = await registry.run_metrics(run_id) if run_id else {}
            except RegistryUnavailable:
                self._ask_again = time.monotonic() + _METRICS_SECONDS
            else:
                self._measured = active
                entry.save_metrics(active.metrics)
        publisher.publish()

    async def _nothing_meant(self, resolution: Resolution, registry: Registry) -> None:
        switcher, reason = self.switcher, resolution.reason
        switcher.deploy_nothing()
        served = switcher.active_version
        if served is None:
            self._log.info(f"waiting: {reason}")
            switcher.status.waiting(reason)
            return
        note = f"{reason.removesuffix(' yet')}; {title(served)} is served until there is"
        self._log.info(note)
        switcher.status.note(note)
        switcher.refresh(await registry.refreshed(served))


def _several(resolution: Resolution) -> str:
    """What to know where several versions are in the stage; empty where it is one."""
    version, others = resolution.version, resolution.others
    if version is None or not others:
        return ""
    return (
        f"versions {', '.join(others)} and {version.version} of '{version.name}' are in "
        f"{version.stage}; version {version.version} answers, as the highest number does: move "
        "to another stage what should not be there"
    )
