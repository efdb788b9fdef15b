"""The version that is shown beside the one that answers."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from hotserve.config.model_uri import parse
from hotserve.ipc.messages import LaneTarget
from hotserve.lane import Lane
from hotserve.lane.compile import compile_pipeline
from hotserve.manager.comparison import Comparison
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from hotserve.manager.mlflow_api import RegistryUnavailable
from hotserve.manager.registry import ModelVersion, Resolution
from hotserve.manager.verdict import NoVerdict
from hotserve.processes.model_server import StartError
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.lane.lane_corpus import LABELS, TEXTS
from tests.unit.hotserve.manager.samples import version

STAGING = replace(version("2"), stage="Staging")


class World:
    """A comparison with Staging, beside version 1 that answers.

    Attributes:
        compiles: what compiling comes to; None is a compiled model.
        in_use: versions whose files are kept.
        shown: what was told last: the compiled model, and what `/model` says.
    """

    def __init__(self, folder: Path) -> None:
        self.meant: ModelVersion | RegistryUnavailable | None = STAGING
        self.compiles: LaneVerdict | NoVerdict | None = None
        self.fails: StartError | None = None
        self.in_use: list[str] = []
        self.prepared: list[str] = []
        self.shown: tuple[LaneTarget | None, dict[str, Any] | None] = None, None
        self.states: list[object] = []
        self.files = LaneFiles(folder)
        self.switcher = SimpleNamespace(
            active_version=version("1"),
            is_starting=False,
            show_beside=self._show,
            preparation=self,
        )
        reference = parse("models:/produtos/Production").beside("Staging")
        assert reference is not None
        parts = (self, reference, self.switcher)
        self.comparison = Comparison(*cast(Any, parts))

    async def resolve(self, reference: object) -> Resolution:
        assert reference == parse("models:/produtos/Staging")
        if isinstance(self.meant, RegistryUnavailable):
            raise self.meant
        return Resolution(self.meant)

    async def prepare(self, wanted: ModelVersion, *, refetch: bool, only_files: bool) -> object:
        assert (refetch, only_files) == (False, True)
        self.prepared.append(wanted.version)
        if self.fails is not None:
            raise self.fails
        self.in_use.append(wanted.version)
        in_use = contextlib.ExitStack()
        in_use.callback(self.in_use.remove, wanted.version)
        shut = LaneVerdict("shut", "off")
        return SimpleNamespace(opener=self, files=self.files, lane=shut, in_use=in_use)

    async def compile(self) -> LaneVerdict | None:
        if isinstance(self.compiles, NoVerdict):
            raise self.compiles
        return self.compiles

    def _show(self, target: LaneTarget | None, shown: dict[str, Any] | None) -> None:
        self.shown = target, shown
        self.states.append(shown and shown["state"])

    def look(self) -> None:
        asyncio.run(self.comparison.look())


@pytest.fixture
def world(tmp_path: Path) -> World:
    pipeline = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TEXTS, LABELS)
    compile_pipeline(pipeline, LaneFiles(tmp_path).compiled)
    return World(tmp_path)


def test_its_compiled_model_is_shown_once(world: World) -> None:
    for _ in range(2):
        world.look()
    target, shown = world.shown
    assert target is not None
    assert (target.version, target.checksum) == ("2", Lane(target.path).checksum)
    assert shown == {"label": "Staging", "version": "2", "state": "open", "why": None}
    assert world.states == ["compiling", "open"]
    assert (world.prepared, world.in_use) == (["2"], ["2"])


def test_another_version_takes_its_place(world: World) -> None:
    world.look()
    world.meant = replace(version("3"), stage="Staging")
    world.look()
    assert world.shown[0] is not None
    assert world.shown[0].version == "3"
    assert world.in_use == ["3"]


@pytest.mark.parametrize("meant", [None, version("1")], ids=["none", "the one that answers"])
def test_nothing_is_shown_beside(world: World, meant: ModelVersion | None) -> None:
    world.look()
    world.meant = meant
    for _ in range(2):
        world.look()
    assert world.shown == (None, None)
    assert world.in_use == []
    assert (world.states, world.in_use) == (["compiling", "open", None], [])


def test_what_answers_comes_first(world: World) -> None:
    world.switcher.active_version = None
    world.look()
    world.switcher.active_version, world.switcher.is_starting = version("1"), True
    world.look()
    assert (world.prepared, world.states) == ([], [])


@pytest.mark.parametrize(
    ("compiles", "fails", "why"),
    [
        (LaneVerdict("shut", "it ends in SVC"), None, "it ends in SVC"),
        (NoVerdict("it took too long"), None, "it took too long"),
        (None, StartError("its files can't be fetched"), "its files can't be fetched"),
    ],
)
def test_why_it_is_not_shown(
    world: World, compiles: LaneVerdict | NoVerdict | None, fails: StartError | None, why: str
) -> None:
    world.compiles, world.fails = compiles, fails
    for _ in range(2):
        world.look()
    assert world.shown == (
        None,
        {"label": "Staging", "version": "2", "state": "shut", "why": why},
    )
    assert (world.prepared, world.in_use) == (["2"], [])


def test_a_damaged_file_is_not_shown(world: World) -> None:
    world.files.compiled.write_bytes(b"x")
    world.look()
    assert world.shown[0] is None


def test_while_the_registry_is_away_it_stays(world: World) -> None:
    world.look()
    world.meant = RegistryUnavailable("http://h can't be reached")
    with pytest.raises(RegistryUnavailable):
        world.look()
    assert world.shown[0] is not None


@fake_clock
async def test_it_is_asked_for_again_and_again_also_while_the_registry_is_away(
    tmp_path: Path,
) -> None:
    asked: list[float] = []

    class Away(World):
        async def resolve(self, reference: object) -> Resolution:
            asked.append(now())
            return await super().resolve(reference)

    world = Away(tmp_path)
    world.meant = RegistryUnavailable("http://h can't be reached")
    following = asyncio.create_task(world.comparison.follow(2.0))
    await asyncio.sleep(5)
    assert asked == [0, 2, 4]
    following.cancel()


def test_files_that_can_not_be_had_are_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(
        "hotserve.manager.comparison.time", SimpleNamespace(monotonic=lambda: clock[0])
    )
    world.fails = StartError("its files can't be fetched")
    world.look()
    clock[0] += 4
    world.look()
    assert world.prepared == ["2"]
    clock[0] += 2
    world.look()
    clock[0] += 9
    world.look()
    assert world.prepared == ["2", "2"]
    clock[0] += 2
    world.fails = None
    world.look()
    assert world.shown[0] is not None
    assert (world.prepared, world.states[-1]) == (["2"] * 3, "open")
