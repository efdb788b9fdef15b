"""Asks the registry again and again: which models are meant, and which version of each."""

import asyncio
import random
from dataclasses import dataclass, field

from hotserve.config.errors import UsageError
from hotserve.log import Once, logger
from hotserve.manager.follower import Follower
from hotserve.manager.mlflow_api import RegistryUnavailable
from hotserve.manager.models import Models
from hotserve.manager.registry import Registry, Resolution
from hotserve.manager.status import registry_state

_LONGEST_DELAY = 10.0


@dataclass(slots=True)
class Watcher:
    """Keeps the models that are served those that the reference means."""

    registry: Registry
    models: Models
    _has_answered: bool = False
    _refused: set[str] = field(default_factory=set)
    _absent: set[str] = field(default_factory=set)
    _log: Once = field(default_factory=Once)

    async def follow(self, interval: float) -> None:
        """Look every `interval` seconds, more seldom while the registry is away; never returns."""
        delay = interval
        while True:
            answered = await self.look()
            for follower in [*self.models.by_name.values()]:
                await follower.show_metrics(self.registry if answered else None)
            delay = interval if answered else min(2 * delay, max(_LONGEST_DELAY, interval))
            # Replicas that began, or lost the registry, at one moment would all ask at one moment.
            await asyncio.sleep(delay * random.uniform(0.8, 1.0))

    async def look(self) -> bool:
        """Look once; whether the registry answered."""
        reference, known = self.models.reference, self.models.by_name
        try:
            if reference.is_pattern:
                found = await self.registry.search(reference)
            else:
                found = {reference.name: await self.registry.resolve(reference)}
            self._has_answered = True
            # A registry without any is rather another database than one that was cleared.
            found = found or {name: _not_there(name) for name in known}
            # The registry counts models to say where the next part of its list begins: one that is
            # deleted while a long list is read has another one left out.
            absent = known.keys() - found.keys()
            gone, self._absent = absent & self._absent, absent
            for name in gone:
                logger.info("'%s' is not in the registry any more, and not served", name)
                self.models.end(name)
            for name, resolution in found.items():
                if (follower := self._follower(name)) is not None:
                    await follower.take(resolution, self.registry)
        except RegistryUnavailable as error:
            self._registry_is_away(str(error))
            return False
        missing = self._missing(found) if reference.is_pattern else None
        self._log.info(f"waiting: {missing}" if missing else "")
        if reference.is_pattern:
            self._update_overview(None, missing)
        return True

    def _registry_is_away(self, error: str) -> None:
        self._log.info(f"the registry is away: {error}")
        is_pattern = self.models.reference.is_pattern
        if is_pattern and not self._has_answered:
            for name in self.models.served_last():
                self._follower(name)
        for follower in self.models.by_name.values():
            follower.registry_is_away(error)
        if is_pattern:
            nothing = f"the registry is away and no model was served before: {error}"
            self._update_overview(error, None if self.models.by_name else nothing)

    def _follower(self, name: str) -> Follower | None:
        """That of the model, which is served from now on; None where it can't be."""
        try:
            follower = self.models.add(name)
        except UsageError as error:
            if name not in self._refused:
                logger.error("'%s' is not served: %s", name, error)
            self._refused.add(name)
            return None
        self._refused.discard(name)
        return follower

    def _missing(self, found: dict[str, Resolution]) -> str | None:
        """What is missing where nothing can be served."""
        reference = self.models.reference
        if not found:
            return f"no registered model matches '{reference.name}' yet"
        if any(each.version for each in found.values()):
            return None
        if any(model.switcher.active_version for model in self.models.by_name.values()):
            return None
        lacks = {
            "alias": f"has the alias '{reference.selector}'",
            "stage": f"has a version in {reference.selector}",
        }.get(reference.kind, "has a version")
        return f"none of the {len(found)} models that match '{reference.name}' {lacks} yet"

    def _update_overview(self, error: str | None, message: str | None) -> None:
        registry = registry_state(self.models.overview.get("registry"), error)
        self.models.update_overview(message=message, registry=registry)


def _not_there(name: str) -> Resolution:
    reason = f"there is no registered model '{name}' in the registry yet"
    return Resolution(None, reason, changed=reason)
