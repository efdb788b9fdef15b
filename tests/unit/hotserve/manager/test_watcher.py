"""Models that come and go with the registry, where a pattern means many."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hotserve.config import model_uri
from hotserve.config.errors import UsageError
from hotserve.manager.cache import Cache
from hotserve.manager.follower import Follower
from hotserve.manager.mlflow_api import RegistryUnavailable
from hotserve.manager.registry import ModelVersion, Resolution
from hotserve.manager.watcher import Watcher
from tests.unit.hotserve.manager.test_follower import FakeSwitcher

PATTERN = model_uri.parse("models:/loja-*/Production")
AWAY = RegistryUnavailable("http://h can't be reached")


def meant(name: str, number: str = "1") -> Resolution:
    return Resolution(ModelVersion(name, number, "Production", run_id=""), changed=1)


def nothing(name: str) -> Resolution:
    return Resolution(None, f"no version of '{name}' is in Production yet", changed=1)


class World:
    """A watcher between fakes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: list[Resolution] | RegistryUnavailable = AWAY
        self.reference = PATTERN
        self.by_name: dict[str, Any] = {}
        self.ended: list[str] = []
        self.before: list[str] = []
        self.full: set[str] = set()
        self.overview: dict[str, Any] = {}
        world: Any = self
        self.watcher = Watcher(world, world)

    async def search(self, pattern: object) -> dict[str, Resolution]:
        assert pattern == PATTERN
        if isinstance(self.found, RegistryUnavailable):
            raise self.found
        named = [(each.version.name if each.version else each.reason, each) for each in self.found]
        return {name.split("'")[1] if "'" in name else name: each for name, each in named}

    async def refreshed(self, version: ModelVersion) -> ModelVersion:
        return version

    def add(self, name: str) -> Any:
        if name in self.full:
            raise UsageError("the disk is full")
        cache = Cache(self.root, ("http://h",), PATTERN.of(name))
        switcher: Any = FakeSwitcher()
        return self.by_name.setdefault(name, Follower(switcher, cache))

    def end(self, name: str) -> None:
        self.ended.append(name)
        del self.by_name[name]

    def served_last(self) -> list[str]:
        return self.before

    def update_overview(self, **fields: Any) -> None:
        self.overview |= fields

    def look(self, *found: Resolution) -> bool:
        self.found = [*found]
        return asyncio.run(self.watcher.look())

    def look_in_vain(self) -> bool:
        self.found = AWAY
        return asyncio.run(self.watcher.look())

    def deployed(self, name: str) -> list[str | None]:
        return [each and each.version for each in self.by_name[name].switcher.calls]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_models_come_and_go(world: World, log: pytest.LogCaptureFixture) -> None:
    assert world.look(meant("loja-a"))
    assert world.look(meant("loja-a", "2"), meant("loja-b"))
    assert world.deployed("loja-a") == ["1", "2"]
    assert world.deployed("loja-b") == ["1"]
    for _ in range(2):
        assert world.look(meant("loja-b"))
    assert world.ended == ["loja-a"]
    assert log.messages == ["'loja-a' is not in the registry any more, and not served"]
    assert world.look(meant("loja-a"), meant("loja-b"))
    assert world.deployed("loja-a") == ["1"]


def test_a_model_that_lost_its_stage_is_served_until_there_is_another(world: World) -> None:
    world.look(meant("loja-a"), meant("loja-b"))
    world.look(nothing("loja-a"), meant("loja-b"))
    assert world.ended == []
    assert world.deployed("loja-a") == ["1", None]
    assert "is served until there is" in world.by_name["loja-a"].switcher.status.to_json()["note"]


def test_a_registry_without_any_model_ends_none(world: World) -> None:
    world.look(meant("loja-a"), meant("loja-b"))
    for _ in range(2):
        world.look()
    assert world.ended == []
    note = world.by_name["loja-a"].switcher.status.to_json()["note"]
    assert note.startswith(
        "there is no registered model 'loja-a' in the registry; loja-a version 1"
    )
    for _ in range(2):
        world.look(meant("loja-b"))
    assert world.ended == ["loja-a"]


def test_one_list_that_leaves_a_model_out_ends_it_not(world: World) -> None:
    """As MLflow's does when another model is deleted between two parts of a long list."""
    for _ in range(3):
        world.look(meant("loja-a"), meant("loja-b"))
        world.look(meant("loja-b"))
    assert world.ended == []
    assert world.deployed("loja-a") == ["1"]


def test_what_is_missing(world: World, log: pytest.LogCaptureFixture) -> None:
    world.look()
    assert world.overview["message"] == "no registered model matches 'loja-*' yet"
    world.look(nothing("loja-a"), nothing("loja-b"))
    none = "none of the 2 models that match 'loja-*' has a version in Production yet"
    assert world.overview["message"] == none
    world.look(nothing("loja-a"), nothing("loja-b"))
    world.look(meant("loja-a"), nothing("loja-b"))
    assert world.overview["message"] is None
    assert world.by_name["loja-b"].switcher.status.to_json()["message"].startswith("no version of")
    world.look(nothing("loja-a"), nothing("loja-b"))
    assert world.overview["message"] is None, "version 1 of loja-a still answers"
    waits = [message for message in log.messages if "loja-*" in message]
    assert waits == ["waiting: no registered model matches 'loja-*' yet", f"waiting: {none}"]


def test_with_the_registry_away_all_go_on(world: World, log: pytest.LogCaptureFixture) -> None:
    world.look(meant("loja-a"))
    world.before = ["loja-z"]
    for _ in range(2):
        assert not world.look_in_vain()
    assert list(world.by_name) == ["loja-a"]
    assert world.overview["registry"]["error"] == "http://h can't be reached"
    assert not world.by_name["loja-a"].switcher.status.to_json()["registry"]["reachable"]
    assert log.messages == ["the registry is away: http://h can't be reached"]
    world.look(meant("loja-a"))
    assert world.overview["registry"]["reachable"]


def test_with_the_registry_away_at_the_start_those_served_last_begin(world: World) -> None:
    world.look_in_vain()
    assert world.overview["message"] == (
        "the registry is away and no model was served before: http://h can't be reached"
    )
    world.before = ["loja-a", "loja-b"]
    world.look_in_vain()
    assert sorted(world.by_name) == ["loja-a", "loja-b"]
    assert world.overview["message"] is None
    for _ in range(2):
        world.look(meant("loja-a"))
    assert world.ended == ["loja-b"]


def test_what_was_not_changed_is_not_looked_at_again(world: World) -> None:
    for _ in range(3):
        world.look(meant("loja-a"))
    assert world.deployed("loja-a") == ["1"]
    world.look_in_vain()
    world.look(meant("loja-a"))
    assert world.by_name["loja-a"].switcher.status.to_json()["registry"]["reachable"]


def test_a_model_whose_folder_can_not_be_had_leaves_the_others(
    world: World, log: pytest.LogCaptureFixture
) -> None:
    world.full = {"loja-a"}
    for _ in range(2):
        world.look(meant("loja-a"), meant("loja-b"))
    assert list(world.by_name) == ["loja-b"]
    assert log.messages == ["'loja-a' is not served: the disk is full"]
    world.full = set()
    world.look(meant("loja-a"), meant("loja-b"))
    assert world.deployed("loja-a") == ["1"]
