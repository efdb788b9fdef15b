"""The figures of the run that the served version came from."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hotserve.config import model_uri
from hotserve.manager import run_metrics
from hotserve.manager.cache import Cache
from hotserve.manager.registry import ModelVersion, RegistryUnavailable
from hotserve.manager.status import Status
from hotserve.redaction import Redactor
from tests.unit.hotserve.manager.samples import version

REFERENCE = model_uri.parse("models:/produtos/Production")


class World:
    """Stands for the registry and the switcher; time passes as the test says."""

    def __init__(self, root: Path) -> None:
        self.cache = Cache(root, ("http://mlflow",), REFERENCE)
        self.status = Status(REFERENCE, Redactor([]), lambda: None)
        self.active_version: ModelVersion | None = None
        self.answer: dict[str, float] | None = None
        self.asked: list[str] = []
        self.slept: list[float] = []

    def serve(self, served: ModelVersion) -> None:
        self.active_version = served
        self.cache.entry(served).folder.mkdir(exist_ok=True)
        self.status.serving(served, 1.0)

    async def run_metrics(self, run_id: str) -> dict[str, float]:
        self.asked.append(run_id)
        if self.answer is None:
            raise RegistryUnavailable("away")
        return self.answer

    def looks(self, patch: pytest.MonkeyPatch, answers: Sequence[dict[str, float] | None]) -> None:
        """Look once for each answer of the registry."""
        left = list(answers)
        self.answer = left.pop(0)

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            if not left:
                raise asyncio.CancelledError
            self.answer = left.pop(0)

        patch.setattr("hotserve.manager.run_metrics.asyncio.sleep", sleep)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(run_metrics.follow(self, self, self.cache, 1.0))  # type: ignore[arg-type]

    @property
    def shown(self) -> object:
        return self.status.to_json()["metrics"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_figures_are_read_once_for_each_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(version("1"))
    world.looks(monkeypatch, [{"a": 1.0}, {"a": 2.0}])
    assert (world.asked, world.shown) == (["r"], {"a": 1.0})
    assert world.cache.entry(version("1")).metrics() == {"a": 1.0}
    assert world.slept == [1.0, 1.0]


def test_without_mlflow_they_come_from_the_cache_and_are_asked_for_more_seldom(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(version("1"))
    world.cache.entry(version("1")).save_metrics({"a": 1.0})
    world.looks(monkeypatch, [None])
    assert (world.shown, world.slept) == ({"a": 1.0}, [5.0])
    world.looks(monkeypatch, [{"a": 2.0}])
    assert world.shown == {"a": 2.0}


def test_what_has_no_run_has_no_figures(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.serve(replace(version("1"), run_id=""))
    world.looks(monkeypatch, [{"a": 1.0}])
    assert (world.asked, world.shown) == ([], None)


def test_with_nothing_served_nobody_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.looks(monkeypatch, [{"a": 1.0}, {"a": 1.0}])
    assert world.asked == []
