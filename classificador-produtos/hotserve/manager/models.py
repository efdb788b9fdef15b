"""The models that are served: each with what is its own, made and ended one by one."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from hotserve.config.model_uri import ModelReference
from hotserve.config.settings import Settings
from hotserve.ipc.messages import BatchingFailed, InUse, ModelMessage, Prepare, Wake
from hotserve.manager.cache import Cache, models_served_last
from hotserve.manager.follower import Follower
from hotserve.manager.lane_opener import Installed
from hotserve.manager.preparation import Preparation
from hotserve.manager.switcher import Switcher
from hotserve.manager.workers.pool import WorkerPool
from hotserve.manager.workers.state_metrics import ModelState, State
from hotserve.processes.slots import ProcessSlots
from hotserve.redaction import Redactor

_SEEN_SECONDS = 10.0


@dataclass(slots=True)
class Models:
    """Makes and ends the models of `reference`: one, or those that its pattern means.

    Attributes:
        scope: what the reference is looked up in, without secrets.
        environment: of the models' processes.
        session: HTTP client for them.
        redactor: removes paths of this machine.
        by_name: those that are served.
        overview: what `/models` says of all of them, beside its list.
        slots: for their processes.
    """

    settings: Settings
    reference: ModelReference
    scope: Sequence[str]
    pool: WorkerPool
    environment: Mapping[str, str]
    session: aiohttp.ClientSession
    redactor: Redactor
    by_name: dict[str, Follower] = field(default_factory=dict)
    overview: dict[str, Any] = field(default_factory=dict)
    slots: ProcessSlots = field(default_factory=ProcessSlots)
    _installed: Installed = field(default_factory=Installed)
    _ending: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.pool.on_model = self._receive
        if self.reference.is_pattern:
            turns = max(2, len(os.sched_getaffinity(0)))
            settings = self.settings
            self.slots = ProcessSlots(settings.max_processes, turns, settings.max_memory)
            self.update_overview(message="hotserve has just begun")
        else:
            self.add(self.reference.name)

    def add(self, name: str) -> Follower:
        """The model of that name, served from now on.

        Raises:
            UsageError: its folder in the cache can't be made or written to.
        """
        model = self.by_name.get(name)
        if model is None:
            reference = self.reference.of(name) if self.reference.is_pattern else self.reference
            cache = Cache(self.settings.cache, self.scope, reference)
            preparation = Preparation(
                settings=self.settings,
                reference=reference,
                cache=cache,
                environment=self.environment,
                session=self.session,
                slots=self.slots,
                installed=self._installed,
            )
            switcher = Switcher(preparation, self.pool, self.redactor)
            model = self.by_name[name] = Follower(switcher, cache)
        return model

    def end(self, name: str) -> None:
        """Serve the model no longer; what is under way there is answered."""
        model = self.by_name.pop(name)
        model.cache.forget_last_served()

        async def end() -> None:
            await model.switcher.end()
            model.cache.prune(keep=0)

        task = asyncio.create_task(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def served_last(self) -> list[str]:
        """The names of those that were served before this start."""
        return models_served_last(self.settings.cache, self.scope, self.reference)

    def update_overview(self, **fields: object) -> None:
        """Have the workers say that of all models, where a pattern means many."""
        shown = {**self.overview, "uri": self.reference.shown, **fields}
        if shown != self.overview:
            self.overview = shown
            self.pool.publish(Prepare(model=shown))

    async def show_seen(self, seen: Callable[[str, str], dict[str, Any] | None]) -> None:
        """Show in `/model` what each was sent, by name and version, again and again."""
        while True:
            await asyncio.sleep(_SEEN_SECONDS)
            for name, model in self.by_name.items():
                if (active := model.switcher.publisher.active) is not None:
                    active.seen = seen(name, active.version.label)
                    model.switcher.publisher.publish()

    async def close(self) -> None:
        """Stop everything."""
        closing = [model.switcher.close() for model in self.by_name.values()]
        await asyncio.gather(*closing, *self._ending)

    def state(self) -> State:
        """What the metrics show of them."""
        models = {
            name: ModelState(
                model=model.switcher.publisher.published.model,
                ready=model.switcher.publisher.is_ready,
                switches=model.switcher.status.switches,
                failed_starts=model.switcher.status.failed_starts,
                memory=model.switcher.process_memory,
            )
            for name, model in self.by_name.items()
        }
        overview = self.overview if self.reference.is_pattern else None
        return State(models, self.pool.restarts, overview)

    def _receive(self, message: ModelMessage) -> None:
        model = self.by_name.get(message.model)
        if model is None:
            return
        match message:
            case InUse(_, generation):
                model.switcher.publisher.in_use(generation)
            case Wake():
                model.switcher.wake()
            case BatchingFailed(_, version, why):
                model.switcher.publisher.batching_failed(version, why)
