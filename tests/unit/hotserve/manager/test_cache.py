"""The cache of models on disk."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hotserve.config import model_uri
from hotserve.config.errors import UsageError
from hotserve.config.registry_credentials import scope
from hotserve.manager.cache import Cache, Entry, content_of, models_served_last
from hotserve.manager.registry import ModelVersion
from tests.unit.hotserve.manager.samples import version

MLFLOW = "http://mlflow:5000"


def cache(root: Path, uri: str = "models:/produtos/1", where: Sequence[str] = (MLFLOW,)) -> Cache:
    return Cache(root, where, model_uri.parse(uri))


def add(store: Cache, wanted: ModelVersion, *, text: str = "x", replace: bool = False) -> Entry:
    entry = store.entry(wanted)
    with store.scratch() as scratch:
        fetched = Path(scratch, "fetched")
        fetched.mkdir()
        (fetched / "MLmodel").write_text(text)
        store.add(fetched, entry, replace=replace)
    return entry


def test_a_model_is_kept_whole_and_found_again(tmp_path: Path) -> None:
    store = cache(tmp_path)
    assert not store.entry(version("1")).is_complete()
    entry = add(store, version("1"))
    assert entry.is_complete()
    assert cache(tmp_path).entry(version("1")) == entry
    assert not list(tmp_path.glob("*/.*")), "nothing incomplete is left"


def test_a_number_given_again_is_another_model(tmp_path: Path) -> None:
    store = cache(tmp_path)
    versions = [version("1"), version("1", created=2), version("1", source="s3://b"), version("2")]
    # Those that no registry numbers differ in their files.
    versions += [replace(version(""), content=content) for content in ("", "a", "b")]
    assert len({store.entry(each).folder for each in versions}) == len(versions)


def test_a_kept_model_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    store = cache(tmp_path)
    add(store, version("1"), text="first")
    entry = add(store, version("1"), text="second")
    entry.lane.mkdir()
    assert (entry.model / "MLmodel").read_text() == "first"
    add(store, version("1"), text="third", replace=True)
    assert (entry.model / "MLmodel").read_text() == "third"
    assert entry.lane.is_dir(), "a worker may have it mapped"


def test_what_was_not_fetched_to_its_end_is_fetched_again(tmp_path: Path) -> None:
    store = cache(tmp_path)
    entry = store.entry(version("1"))
    entry.model.mkdir(parents=True)
    assert not entry.is_complete()
    assert add(store, version("1")).is_complete()


def test_the_version_served_last_is_noted_for_each_uri(tmp_path: Path) -> None:
    store = cache(tmp_path)
    assert store.last_served() is None
    add(store, version("1"))
    store.save_last_served(version("1"))
    assert cache(tmp_path).last_served() == version("1")
    assert cache(tmp_path, "models:/produtos/Staging").last_served() is None
    store.save_last_served(version("2"))
    assert store.last_served() is None, "version 2 is not on disk"


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"version": {}}', '{"version": {"x": 1}}'])
def test_a_damaged_note_of_the_last_version_is_no_note(tmp_path: Path, damaged: str) -> None:
    store = cache(tmp_path)
    add(store, version("1"))
    store.save_last_served(version("1"))
    [note] = tmp_path.glob("*/serving-*.json")
    note.write_text(damaged)
    assert store.last_served() is None


@pytest.mark.parametrize(
    "other",
    [
        {"MLFLOW_TRACKING_URI": "http://other:5000"},
        {"MLFLOW_TRACKING_URI": MLFLOW, "MLFLOW_WORKSPACE": "team-b"},
        {"MLFLOW_TRACKING_URI": MLFLOW, "MLFLOW_REGISTRY_URI": "http://other:5000"},
    ],
)
def test_another_server_or_workspace_has_models_of_its_own(
    tmp_path: Path, other: dict[str, str]
) -> None:
    here = cache(tmp_path, where=scope({"MLFLOW_TRACKING_URI": MLFLOW}, in_registry=True))
    add(here, version("1"))
    here.save_last_served(version("1"))
    there = cache(tmp_path, where=scope(other, in_registry=True))
    assert there.last_served() is None
    assert not there.entry(version("1")).is_complete()


@pytest.mark.parametrize(
    "address",
    ["http://mlflow:5000/", "HTTP://MLFLOW:5000", "http://ana:s3cret@mlflow:5000", MLFLOW + "?x=1"],
)
def test_one_server_has_one_cache_however_it_is_written(tmp_path: Path, address: str) -> None:
    here = cache(tmp_path)
    there = cache(tmp_path, where=scope({"MLFLOW_TRACKING_URI": address}, in_registry=True))
    assert there.folder == here.folder


def test_models_of_like_names_are_kept_apart(tmp_path: Path) -> None:
    folders = [tmp_path / each / "model" for each in ("shop", "other", "shop/model")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "MLmodel").touch()
    uris = [*("models:/a b/1", "models:/a_b/1", "models:/a.b/1", "models:/ação/1", "models:/__/1")]
    uris += map(str, folders)
    uris += ["s3://shop/model", "s3://other/model", "runs:/1/model", "runs:/2/model", "s3://model"]
    found = {cache(tmp_path / "cache", uri).folder for uri in uris}
    assert len(found) == len(uris)


def test_a_bucket_of_another_store_is_another_bucket(tmp_path: Path) -> None:
    environments = [
        {},
        {"MLFLOW_S3_ENDPOINT_URL": "http://a"},
        {"MLFLOW_TRACKING_URI": "http://b"},
        {"MLFLOW_WORKSPACE": "c"},
    ]
    places = [scope(each, in_registry=False) for each in environments]
    assert len({cache(tmp_path, "s3://b/model", each).folder for each in places}) == 4


def test_no_secret_of_an_address_names_a_folder(tmp_path: Path) -> None:
    uri = "https://ana:s3cret@host/model?X-Amz-Signature=s3cret"
    assert "s3cret" not in str(cache(tmp_path, uri).folder)
    assert cache(tmp_path, uri).folder.name.startswith("model-")


def test_content_is_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "MLmodel").write_text("a")
    (tmp_path / "data" / "x").write_text("b")
    contents = [content_of(tmp_path)]
    assert content_of(tmp_path) == contents[0]
    (tmp_path / "data" / "x").write_text("c")
    contents.append(content_of(tmp_path))
    (tmp_path / "data" / "x").rename(tmp_path / "data" / "y")
    contents.append(content_of(tmp_path))
    assert len(set(contents)) == 3


def aged(entries: Sequence[Entry]) -> None:
    """Make the first one the one used longest ago."""
    for age, entry in enumerate(reversed(entries)):
        os.utime(entry.folder, (1000 - age, 1000 - age))


def complete(entries: Sequence[Entry]) -> list[bool]:
    return [entry.is_complete() for entry in entries]


def test_pruning_keeps_those_used_last_and_those_in_use(tmp_path: Path) -> None:
    store = cache(tmp_path)
    entries = [add(store, version(str(number))) for number in range(1, 6)]
    aged(entries)
    # In use by another hotserve, too: the lock is on the file, not in this process.
    with cache(tmp_path).entry(version("1")).in_use():
        aged(entries)
        store.prune(keep=2)
        assert complete(entries) == [True, False, False, True, True]
    aged([entries[0], entries[3], entries[4]])
    store.prune(keep=2)
    assert complete(entries) == [False, False, False, True, True]
    assert not entries[0].folder.exists()


def test_using_a_version_makes_it_the_one_used_last(tmp_path: Path) -> None:
    store = cache(tmp_path)
    entries = [add(store, version(str(number))) for number in range(1, 4)]
    # Not only for the first time, which puts a new file into its folder.
    for _ in range(2):
        aged(entries)
        with entries[0].in_use():
            pass
    store.prune(keep=1)
    assert complete(entries) == [True, False, False]


def test_two_may_use_a_version_at_once(tmp_path: Path) -> None:
    entry = add(cache(tmp_path), version("1"))
    with entry.in_use(), entry.in_use():
        cache(tmp_path).prune(keep=0)
        assert entry.is_complete()


def test_pruning_leaves_notes_and_what_they_are_of(tmp_path: Path) -> None:
    store, other = cache(tmp_path), cache(tmp_path, "models:/produtos/Staging")
    entries = [add(store, version(str(number))) for number in range(1, 4)]
    store.save_last_served(version("1"))
    other.save_last_served(version("2"))
    store.prune(keep=0)
    assert complete(entries) == [True, True, False]
    assert other.last_served() == version("2")
    assert {path.suffix for path in store.folder.iterdir() if path.is_file()} == {".json"}
    other.forget_last_served()
    store.prune(keep=0)
    assert complete(entries) == [True, False, False]


def test_the_output_of_processes_goes_with_their_versions(tmp_path: Path) -> None:
    store = cache(tmp_path)
    (store.folder / "logs").mkdir()
    names = ["1.log", "1.log.1", "2.log", "3.log", "4.log", "4.log.1"]
    for age, name in enumerate(reversed(names)):
        (store.folder / "logs" / name).touch()
        os.utime(store.folder / "logs" / name, (1000 - age, 1000 - age))
    with add(store, version("1")).in_use():
        store.prune(keep=2)
        left = sorted(path.name for path in (store.folder / "logs").iterdir())
        assert left == ["1.log", "1.log.1", "4.log", "4.log.1"]
    store.prune(keep=0)
    assert not list((store.folder / "logs").iterdir())


@pytest.mark.parametrize(("age", "stays"), [(3500, True), (3700, False)])
def test_what_a_killed_fetch_left_goes_after_an_hour(tmp_path: Path, age: int, stays: bool) -> None:
    store = cache(tmp_path)
    with store.scratch() as scratch:
        names = (".incomplete-folder", ".incomplete-file")
        left = [Path(scratch).with_name(name) for name in names]
    left[0].mkdir()
    (left[0] / "part").touch()
    left[1].touch()
    for path in left:
        os.utime(path, (time.time() - age,) * 2)
    store.prune(keep=3)
    assert [path.exists() for path in left] == [stays, stays]


def test_figures_are_kept_with_their_version(tmp_path: Path) -> None:
    entry = add(cache(tmp_path), version("1"))
    assert entry.metrics() is None
    entry.save_metrics({"acuracia": 0.5})
    assert cache(tmp_path).entry(version("1")).metrics() == {"acuracia": 0.5}
    (entry.folder / "metrics.json").write_text('{"a": "x"}')
    assert entry.metrics() is None


def test_a_folder_that_can_not_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be written"):
        cache(tmp_path / "file")


def test_the_models_of_a_pattern_that_were_served_last(tmp_path: Path) -> None:
    pattern = model_uri.parse("models:/loja-*@melhor")
    for name in ("loja-a", "loja-é b", "loja-c", "outra"):
        store = Cache(tmp_path, (MLFLOW,), pattern.of(name))
        store.save_last_served(ModelVersion(name, "1"))
    store.save_last_served(ModelVersion("loja-x", "1"))
    Cache(tmp_path, (MLFLOW,), pattern.of("loja-c")).forget_last_served()
    cache(tmp_path, "models:/loja-d@outro").save_last_served(ModelVersion("loja-d", "1"))
    cache(tmp_path, "models:/loja-e@melhor", ("http://other",)).save_last_served(
        ModelVersion("loja-e", "1")
    )
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "serving-1.json").write_text("damaged")
    assert models_served_last(tmp_path, (MLFLOW,), pattern) == ["loja-a", "loja-é b"]
