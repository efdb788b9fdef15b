"""What is done with the registry's answers, where one model is followed."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hotserve.config import model_uri
from hotserve.manager.cache import Cache
from hotserve.manager.follower import Follower
from hotserve.manager.mlflow_api import RegistryUnavailable
from hotserve.manager.registry import ModelVersion, Resolution
from hotserve.manager.status import Status
from hotserve.manager.watcher import Watcher
from hotserve.redaction import Redactor
from tests.unit.hotserve.manager.samples import version

REFERENCE = model_uri.parse("models:/produtos/Production")
AWAY = RegistryUnavailable("http://h can't be reached")
NOTHING = Resolution(None, "no version of 'produtos' is in Production yet")


class FakeRegistry:
    """Answers with `answer`; `now` is what `refreshed` finds."""

    def __init__(self) -> None:
        self.answer: Resolution | RegistryUnavailable = AWAY
        self.now = replace(version(), stage="Archived", aliases=())
        self.asked = 0
        self.metrics: dict[str, float] | RegistryUnavailable = {}
        self.runs: list[str] = []

    async def resolve(self, _: object) -> Resolution:
        self.asked += 1
        if isinstance(self.answer, RegistryUnavailable):
            raise self.answer
        return self.answer

    async def refreshed(self, _: ModelVersion) -> ModelVersion:
        return self.now

    async def run_metrics(self, run_id: str) -> dict[str, float]:
        self.runs.append(run_id)
        if isinstance(self.metrics, RegistryUnavailable):
            raise self.metrics
        return self.metrics


class FakeSwitcher:
    """Takes over at once what it is to deploy."""

    def __init__(self) -> None:
        self.status = Status(REFERENCE, Redactor([]), lambda: None)
        self.publisher = SimpleNamespace(active=None, publish=self.publish)
        self.published: object = None
        self.is_starting = False
        self.calls: list[object] = []

    @property
    def active_version(self) -> ModelVersion | None:
        active = self.publisher.active
        return active.version if active else None

    def publish(self) -> None:
        self.published = self.publisher.active.metrics

    def deploy(self, wanted: ModelVersion) -> None:
        self.calls.append(wanted)
        if self.active_version != wanted:
            self.publisher.active = SimpleNamespace(version=wanted, metrics=None)
            self.published = None
        self.status.serving(wanted, 1.0)

    def deploy_nothing(self) -> None:
        self.calls.append(None)

    def refresh(self, now: ModelVersion) -> None:
        self.publisher.active.version = now


class World:
    """A follower between fakes."""

    def __init__(self, root: Path) -> None:
        self.registry, self.switcher = FakeRegistry(), FakeSwitcher()
        self.cache = Cache(root, ("http://mlflow",), REFERENCE)
        make: Any = Follower
        self.follower: Follower = make(self.switcher, self.cache)
        by_name = {REFERENCE.name: self.follower}
        models: Any = SimpleNamespace(reference=REFERENCE, add=by_name.get, by_name=by_name)
        registry: Any = self.registry
        self.watcher = Watcher(registry, models)

    def served_before(self, saved: ModelVersion) -> None:
        model = self.cache.entry(saved).model
        model.mkdir(parents=True)
        (model / "MLmodel").touch()
        self.cache.save_last_served(saved)

    def serve(self, served: ModelVersion) -> None:
        self.cache.entry(served).folder.mkdir(exist_ok=True)
        self.switcher.deploy(served)

    def look(self, answer: Resolution | RegistryUnavailable) -> bool:
        self.registry.answer = answer
        return asyncio.run(self.watcher.look())

    def look_for_metrics(
        self, metrics: dict[str, float] | RegistryUnavailable, *, ask: bool = True
    ) -> object:
        """What `/model` shows then."""
        self.registry.metrics = metrics
        registry: Any = self.registry if ask else None
        asyncio.run(self.follower.show_metrics(registry))
        return self.switcher.published or None

    @property
    def note(self) -> object:
        return self.switcher.status.to_json()["note"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_meant_is_deployed(world: World) -> None:
    assert world.look(Resolution(version("2")))
    assert world.switcher.calls == [version("2")]
    assert world.note is None
    assert world.switcher.status.to_json()["registry"]["reachable"] is True


def test_two_versions_in_a_stage_are_noted_and_logged_once(
    world: World, log: pytest.LogCaptureFixture
) -> None:
    two = Resolution(version("10"), others=("2", "9"))
    for _ in range(2):
        world.look(two)
    assert world.note == (
        "versions 2, 9 and 10 of 'produtos' are in Production; version 10 answers, as the "
        "highest number does: move to another stage what should not be there"
    )
    assert log.messages == [world.note]
    world.look(Resolution(version("10")))
    assert not world.note
    world.look(two)
    assert len(log.messages) == 2


def test_nothing_meant_and_nothing_served_waits_and_says_why(
    world: World, log: pytest.LogCaptureFixture
) -> None:
    assert world.look(NOTHING)
    assert world.switcher.calls == [None]
    assert world.switcher.status.to_json()["state"] == "waiting"
    assert world.switcher.status.to_json()["message"] == NOTHING.reason
    world.look(NOTHING)
    assert log.messages == [f"waiting: {NOTHING.reason}"]


def test_what_is_served_stays_when_its_stage_is_emptied(
    world: World, log: pytest.LogCaptureFixture
) -> None:
    world.look(Resolution(version()))
    assert world.look(NOTHING)
    assert world.note == (
        "no version of 'produtos' is in Production; produtos version 1 is served until there is"
    )
    assert log.messages == [world.note]
    # Its stage and aliases are those of now, not of when it was served.
    assert world.switcher.active_version == world.registry.now


def test_with_the_registry_away_what_is_served_stays(
    world: World, log: pytest.LogCaptureFixture
) -> None:
    world.served_before(version("1"))
    world.look(Resolution(version("2")))
    for _ in range(2):
        assert not world.look(AWAY)
    assert world.switcher.calls == [version("2")]
    assert log.messages == ["the registry is away: http://h can't be reached"]
    registry = world.switcher.status.to_json()["registry"]
    assert (registry["reachable"], registry["error"]) == (False, "http://h can't be reached")


def test_with_the_registry_away_the_version_served_last_begins(world: World) -> None:
    world.served_before(version("1"))
    assert not world.look(AWAY)
    assert world.switcher.calls == [version("1")]
    assert world.note == "the registry is away: produtos version 1 is served from the cache"


def test_with_the_registry_away_and_nothing_cached_it_waits(world: World) -> None:
    world.look(AWAY)
    assert world.switcher.calls == []
    assert world.switcher.status.to_json()["message"] == (
        "the registry is away and no version was served before: http://h can't be reached"
    )


def test_a_start_under_way_is_left_alone_while_the_registry_is_away(world: World) -> None:
    world.served_before(version("1"))
    world.switcher.is_starting = True
    world.look(AWAY)
    assert world.switcher.calls == []


@pytest.mark.parametrize(
    ("interval", "slept"), [(1.0, [2, 4, 8, 10, 10, 1]), (30.0, [30, 30, 30, 30, 30, 30])]
)
def test_a_registry_that_is_away_is_asked_more_seldom(
    world: World, interval: float, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        if len(delays) == 5:
            world.registry.answer = Resolution(version())
        if len(delays) == 6:
            raise asyncio.CancelledError

    monkeypatch.setattr("hotserve.manager.watcher.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(world.watcher.follow(interval))
    assert all(0.8 * most <= delay <= most for delay, most in zip(delays, slept, strict=True))
    assert len(set(delays)) == len(delays)


def test_figures_are_read_once_for_each_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.registry.answer, world.registry.metrics = Resolution(version("1")), {"a": 1.0}
    world.cache.entry(version("1")).folder.mkdir()

    async def sleep(_: float) -> None:
        if world.registry.asked == 2:
            raise asyncio.CancelledError
        world.registry.metrics = {"a": 2.0}

    monkeypatch.setattr("hotserve.manager.watcher.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(world.watcher.follow(1.0))
    assert world.registry.runs == ["r"]
    assert world.switcher.published == {"a": 1.0}
    assert world.cache.entry(version("1")).metrics() == {"a": 1.0}
    world.serve(version("2"))
    assert world.look_for_metrics({"a": 3.0}) == {"a": 3.0}


def test_without_mlflow_figures_come_from_the_cache(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(version("1"))
    world.cache.entry(version("1")).save_metrics({"a": 1.0})
    assert world.look_for_metrics({"a": 2.0}, ask=False) == {"a": 1.0}
    assert world.registry.runs == []
    assert world.look_for_metrics(AWAY) == {"a": 1.0}
    # Not each second again, from each of many models: it may be one that we may not read.
    assert world.look_for_metrics({"a": 2.0}) == {"a": 1.0}
    assert world.registry.runs == ["r"]
    monkeypatch.setattr("hotserve.manager.follower._METRICS_SECONDS", 0.0)
    world.follower._ask_again = 0.0
    assert world.look_for_metrics(AWAY) == {"a": 1.0}
    assert world.look_for_metrics({"a": 2.0}) == {"a": 2.0}


def test_what_has_no_run_has_no_figures(world: World) -> None:
    world.serve(replace(version("1"), run_id=""))
    assert world.look_for_metrics({"a": 1.0}) is None
    assert world.registry.runs == []


def test_with_nothing_served_nobody_is_asked_for_figures(world: World) -> None:
    assert world.look_for_metrics({"a": 1.0}) is None
    assert world.registry.runs == []
