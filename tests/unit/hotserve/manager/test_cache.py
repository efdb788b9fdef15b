"""The cache of models on disk."""

import os
from pathlib import Path

import pytest

from hotserve.config.errors import UsageError
from hotserve.manager.cache import Cache, Entry
from hotserve.manager.registry import ModelVersion


def version(number: str, created: int = 1) -> ModelVersion:
    return ModelVersion(
        name="produtos",
        version=number,
        stage="Production",
        aliases=("a",),
        run_id="r",
        model_id="m",
        source="models:/m-1",
        created=created,
        status="READY",
    )


def cache(root: Path, name: str = "produtos", reference: str = "models:/produtos/1") -> Cache:
    return Cache(root, "http://mlflow", name, reference)


def keep(store: Cache, wanted: ModelVersion, *, text: str = "x", replace: bool = False) -> Entry:
    entry = store.entry(wanted)
    with store.room() as room:
        (room / "fetched").mkdir()
        (room / "fetched" / "MLmodel").write_text(text)
        store.keep(room / "fetched", entry, replace=replace)
    return entry


def test_a_model_is_kept_whole_and_found_again(tmp_path: Path) -> None:
    store = cache(tmp_path)
    assert not store.entry(version("1")).is_complete()
    entry = keep(store, version("1"))
    assert entry.is_complete()
    assert cache(tmp_path).entry(version("1")) == entry
    assert not list(tmp_path.glob("*/.fetch-*"))


def test_a_number_given_again_is_another_model(tmp_path: Path) -> None:
    store = cache(tmp_path)
    assert store.entry(version("1", created=1)) != store.entry(version("1", created=2))


def test_a_kept_model_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    store = cache(tmp_path)
    keep(store, version("1"), text="first")
    entry = keep(store, version("1"), text="second")
    assert (entry.model / "MLmodel").read_text() == "first"
    keep(store, version("1"), text="third", replace=True)
    assert (entry.model / "MLmodel").read_text() == "third"


def test_the_last_good_version_is_remembered_for_each_uri(tmp_path: Path) -> None:
    store = cache(tmp_path)
    assert store.last_good() is None
    keep(store, version("1"))
    store.remember(version("1"))
    assert cache(tmp_path).last_good() == version("1")
    assert cache(tmp_path, reference="models:/produtos/Staging").last_good() is None
    store.remember(version("2"))
    assert store.last_good() is None, "version 2 is not on disk"


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"version": {}}', '{"version": {"x": 1}}'])
def test_a_damaged_note_of_the_last_version_is_no_note(tmp_path: Path, damaged: str) -> None:
    store = cache(tmp_path)
    keep(store, version("1"))
    store.remember(version("1"))
    [note] = tmp_path.glob("*/serving-*.json")
    note.write_text(damaged)
    assert store.last_good() is None


def test_pruning_keeps_the_last_ones_and_those_in_use(tmp_path: Path) -> None:
    store = cache(tmp_path)
    entries = [keep(store, version(str(number))) for number in range(1, 6)]
    for age, entry in enumerate(reversed(entries)):
        os.utime(entry.folder, (1000 - age, 1000 - age))
    with entries[0].in_use():
        os.utime(entries[0].folder, (1, 1))
        store.prune(keep=2)
    assert [entry.is_complete() for entry in entries] == [True, False, False, True, True]


def test_models_with_like_names_are_kept_apart(tmp_path: Path) -> None:
    names = ["a/b", "a_b", "../a", "ação", ""]
    for name in names:
        keep(cache(tmp_path, name=name), version("1"))
    assert len(list(tmp_path.iterdir())) == len(names)


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be written"):
        cache(tmp_path / "file")
