"""What a version needs to start: fetched, kept, or said why not."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hotserve.config import model_uri, settings
from hotserve.manager.cache import Cache, content_of
from hotserve.manager.deployment import Deployment
from hotserve.manager.preparation import Preparation
from hotserve.manager.registry import ModelVersion
from hotserve.processes.guarded_process import Exit
from hotserve.processes.model_server import ModelServer, StartError
from hotserve.processes.slots import ProcessSlots
from tests.unit.hotserve.manager.samples import version

SERVE = ("mlflow", "models", "serve", "-m")
FIXED = replace(version(""), aliases=(), run_id="", model_id="", created=0)


class FakeMlflow:
    """`mlflow artifacts download`: writes `files` below the destination, or fails.

    Attributes:
        uris: what was fetched.
        end: how it ends.
    """

    def __init__(self) -> None:
        self.files = {"model/MLmodel": "x"}
        self.uris: list[str] = []
        self.end: Exit | Exception = Exit(0, ())

    async def run(self, argv: Sequence[str], *_: object, **__: object) -> Exit:
        assert argv[:4] == ["mlflow", "artifacts", "download", "-u"]
        self.uris.append(argv[4])
        await asyncio.sleep(0)
        if isinstance(self.end, Exception):
            raise self.end
        if self.end.code == 0:
            for name, text in self.files.items():
                path = Path(argv[6], name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return self.end


class World:
    """A preparation of one reference, with a cache of its own and a fake MLflow."""

    def __init__(self, root: Path, mlflow: FakeMlflow, uri: str, *options: str) -> None:
        self.mlflow = mlflow
        self.reference = model_uri.parse(uri)
        self.cache = Cache(root, ("http://mlflow",), self.reference)
        self.preparation = Preparation(
            settings=settings.read((*options, *SERVE, uri), {}),
            reference=self.reference,
            cache=self.cache,
            environment={},
            session=None,  # type: ignore[arg-type]
        )
        self.in_use = contextlib.ExitStack()

    def prepare(self, wanted: ModelVersion, *, refetch: bool = False) -> Deployment:
        prepared = asyncio.run(self.preparation.prepare(wanted, refetch=refetch))
        self.in_use.callback(prepared.in_use.close)
        return prepared

    def refused(self, wanted: ModelVersion, *, refetch: bool = False) -> str:
        with pytest.raises(StartError) as error:
            self.prepare(wanted, refetch=refetch)
        return str(error.value)


Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    mlflow = FakeMlflow()
    monkeypatch.setattr("hotserve.manager.preparation.run_to_end", mlflow.run)
    worlds: list[World] = []

    def make_world(uri: str = "models:/produtos/1", *options: str, root: Path = tmp_path) -> World:
        worlds.append(World(root / "cache", mlflow, uri, *options))
        return worlds[-1]

    yield make_world
    for world in worlds:
        world.in_use.close()


def test_a_version_is_fetched_once_and_kept_from_pruning_while_it_is_used(make: Make) -> None:
    world = make()
    assert not world.preparation.is_cached(version())
    first = world.prepare(version())
    world.prepare(version())
    assert world.mlflow.uris == ["models:/produtos/1"]
    assert world.preparation.is_cached(version())
    entry = world.cache.entry(version())
    assert (entry.model / "MLmodel").read_text() == "x"
    assert first.files.folder == entry.lane
    world.cache.prune(keep=0)
    assert entry.is_complete()
    world.in_use.close()
    world.cache.prune(keep=0)
    assert not entry.is_complete()


def test_no_more_versions_are_kept_than_wanted_whatever_they_are_for(make: Make) -> None:
    """One that is only shown beside, or would not start, takes room as one that answers does."""
    world = make("models:/produtos/Production", "--keep-versions", "2")
    world.prepare(version("1"))
    for number in ("2", "3", "4"):
        prepared = world.preparation.prepare(version(number), refetch=False, only_files=True)
        asyncio.run(prepared).in_use.close()
        os.utime(world.cache.entry(version(number)).folder, (int(number), int(number)))
    kept = sorted(path.name.partition("-")[0] for path in world.cache.folder.glob("[!.]*-*/"))
    assert kept == ["1", "4"]


def test_of_those_that_share_a_cache_one_fetches(make: Make) -> None:
    """Ten replicas that start at once are one client of MLflow, in each version and no more."""
    worlds = [make() for _ in range(10)]

    async def prepare(wanted: ModelVersion) -> None:
        every = (world.preparation.prepare(wanted, refetch=False) for world in worlds)
        await asyncio.gather(*every)

    asyncio.run(prepare(version("1")))
    asyncio.run(prepare(version("2")))
    assert worlds[0].mlflow.uris == ["models:/produtos/1", "models:/produtos/2"]


def test_where_the_one_that_fetches_fails_the_next_one_tries(make: Make) -> None:
    first, second = make(), make()
    first.mlflow.end = Exit(1, ("ConnectionError: no",))

    async def prepare() -> list[object]:
        every = (world.preparation.prepare(version(), refetch=False) for world in (first, second))
        return await asyncio.gather(*every, return_exceptions=True)

    assert [type(each) for each in asyncio.run(prepare())] == [StartError, StartError]
    assert first.mlflow.uris == ["models:/produtos/1"] * 2


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of processes."""
    told: list[str] = []

    async def begin(_: ModelServer) -> None:
        told.append("begun")

    async def close(_: ModelServer, grace: float) -> None:
        told.append(f"closed after {grace} s")

    monkeypatch.setattr(ModelServer, "begin", begin)
    monkeypatch.setattr(ModelServer, "close", close)
    return told


def test_a_process_begins_while_the_files_come(make: Make, processes: list[str]) -> None:
    world = make()
    world.mlflow.end = Exit(1, ("ConnectionError: no",))
    world.refused(version())
    assert processes == ["begun", "closed after 0.5 s"]
    world.mlflow.end = Exit(0, ())
    world.prepare(version())
    assert processes[2:] == ["begun"]
    # They are there, or were and are to be replaced.
    world.prepare(version())
    world.prepare(version(), refetch=True)
    assert processes[3:] == []


def test_no_process_begins_where_none_is_needed(make: Make, processes: list[str]) -> None:
    world = make()
    prepared = world.preparation.prepare(version(), refetch=False, only_files=True)
    asyncio.run(prepared)
    make("s3://bucket/model").prepare(replace(FIXED, source="s3://bucket/model"))
    many = make("models:/produtos/2")
    many.preparation = replace(many.preparation, slots=ProcessSlots(2))
    many.prepare(version("2"))
    assert processes == []


def test_a_version_fetched_again_replaces_what_was_there(make: Make) -> None:
    world = make()
    world.prepare(version())
    world.mlflow.files = {"MLmodel": "y"}
    world.prepare(version(), refetch=True)
    assert (world.cache.entry(version()).model / "MLmodel").read_text() == "y"


def test_what_can_not_be_fetched_again_is_served_as_it_is(make: Make) -> None:
    world = make()
    world.prepare(version())
    world.mlflow.end = Exit(1, ("ConnectionError: no",))
    assert world.prepare(version(), refetch=True).version == version()
    assert world.refused(version("2")) == "its files can't be fetched: ConnectionError: no"


def test_a_model_out_of_the_registry_is_known_by_its_content(make: Make) -> None:
    world = make("s3://bucket/model")
    fixed = replace(FIXED, source="s3://bucket/model")
    first = world.prepare(fixed).version
    assert first.label == first.content == content_of(world.cache.entry(first).model)
    world.cache.save_last_served(first)
    # It is fetched at each start, and another content is another entry.
    world.mlflow.files = {"model/MLmodel": "y"}
    second = world.prepare(fixed).version
    assert world.mlflow.uris == ["s3://bucket/model"] * 2
    assert second.content != first.content
    assert (world.cache.entry(first).model / "MLmodel").read_text() == "x"
    world.mlflow.end = Exit(1, ("no",))
    assert world.prepare(fixed).version == first, "the one served last"
    assert not world.preparation.is_cached(first)


def test_a_folder_is_served_where_it_is_and_has_a_lane_for_its_content(
    make: Make, tmp_path: Path
) -> None:
    folder = tmp_path / "shop" / "model"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("a")
    world = make(str(folder))
    first = world.prepare(FIXED)
    assert first.version.label == content_of(folder)
    (folder / "MLmodel").write_text("b")
    second = world.prepare(FIXED)
    assert second.files.folder != first.files.folder
    assert world.mlflow.uris == []


def test_a_folder_that_can_not_be_read_is_a_start_error(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "MLmodel").touch()

    def refuse(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hotserve.manager.preparation.content_of", refuse)
    assert make(str(tmp_path)).refused(FIXED) == "its files can't be read: Permission denied"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (Exit(1, ("a", "OSError: b")), "its files can't be fetched: OSError: b"),
        (TimeoutError(), "its files were not there after 600 s"),
        (
            Exit(1, ("HTTPError: 403 for https://ana:pw@h/x?X-Amz-Signature=abc&y=1",)),
            "its files can't be fetched: HTTPError: 403 for https://…@h/x?…",
        ),
    ],
)
def test_why_a_fetch_failed(make: Make, end: Exit | Exception, reason: str) -> None:
    world = make()
    world.mlflow.end = end
    assert world.refused(version()) == reason
    assert not list(world.cache.folder.glob(".*")), "nothing of it is left"


def test_a_fetch_without_a_model_is_no_model(make: Make) -> None:
    world = make()
    world.mlflow.files = {"model/README": ""}
    assert "there is no MLmodel among them" in world.refused(version())
    assert not world.preparation.is_cached(version())


def test_files_that_nobody_can_read_are_a_start_error(make: Make) -> None:
    world = make()
    world.mlflow.files = {"model/MLmodel": "[" * 5000}
    assert world.refused(version()).startswith("its files can't be read: RecursionError(")


def test_a_disk_that_the_fetch_filled_is_called_full(make: Make) -> None:
    world = make()
    said = ("MlflowException: failures", "##### File x #####", "[Errno 28] No space left on device")
    world.mlflow.end = Exit(1, said)
    full = f"its files can't be fetched: the disk of {world.cache.folder} is full"
    assert world.refused(version()) == full


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.getuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (disk / f"filler-{number}").write_bytes(bytes(4096))


def test_a_full_disk_is_called_full_before_a_fetch(make: Make, tiny_disk: Path) -> None:
    world = make(root=tiny_disk)
    fill(tiny_disk)
    full = f"it can't be kept in the cache: the disk of {world.cache.folder} is full"
    assert world.refused(version()) == full


def test_a_lane_that_is_switched_off_is_shut_and_has_no_opener(make: Make) -> None:
    deployment = make("models:/produtos/1", "--lane", "off").prepare(version())
    assert deployment.opener is None
    assert deployment.lane.why == "it is switched off (--lane off)"
    assert make().prepare(version()).opener is not None


def test_batching_that_is_switched_off_is_shut_and_has_no_opener(make: Make) -> None:
    deployment = make("models:/produtos/1", "--batching", "off").prepare(version())
    assert deployment.batch_opener is None
    assert deployment.batching.why == "it is switched off (--batching off)"
    assert make().prepare(version()).batch_opener is not None


def test_where_the_output_of_a_version_goes(make: Make, tmp_path: Path) -> None:
    world = make()
    assert world.preparation.log(version("3")) == world.cache.folder / "logs" / "3.log"
    assert world.preparation.log(FIXED) == world.cache.folder / "logs" / "model.log"
    elsewhere = make("models:/produtos/1", "--child-log", str(tmp_path))
    assert elsewhere.preparation.log(version("3")) == tmp_path / "3.log"
    assert make("models:/produtos/1", "--child-log", "-").preparation.log(version()) is None
