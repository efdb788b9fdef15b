"""The models of one manager: each has what is its own, and gets the messages about it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hotserve.config import model_uri, settings
from hotserve.ipc.messages import BatchingFailed, InUse, Prepare, Wake
from hotserve.manager.follower import Follower
from hotserve.manager.models import Models
from hotserve.redaction import Redactor
from tests.support.fake_clock import fake_clock
from tests.unit.hotserve.manager.fakes import FakePool
from tests.unit.hotserve.manager.samples import version
from tests.unit.hotserve.manager.test_deployment import deployment

MANY, ONE = "models:/loja-*/Production", "models:/produtos/Production"


class Pool(FakePool):
    """The workers, which send messages about models."""

    restarts = 4
    on_model: Any = None


def models(root: Path, uri: str = MANY) -> tuple[Models, Pool]:
    pool: Any = Pool()
    read = settings.read(("--cache", str(root), "mlflow", "models", "serve", "-m", uri), {})
    session: Any = None
    reference = model_uri.parse(uri)
    return Models(read, reference, ("http://h",), pool, {}, session, Redactor([])), pool


def changes_of(pool: Pool, name: str) -> list[Prepare]:
    return [change for change in pool.changes if change.name == name]


@fake_clock
async def test_one_model_is_there_from_the_beginning(tmp_path: Path) -> None:
    served, pool = models(tmp_path, ONE)
    assert [*served.by_name] == ["produtos"]
    assert served.state().all is None
    assert [change.name for change in pool.changes] == ["produtos"]
    await served.close()


@fake_clock
async def test_each_of_many_has_its_own_cache_and_is_told_by_its_name(tmp_path: Path) -> None:
    served, pool = models(tmp_path)
    assert served.by_name == {}
    assert changes_of(pool, "")[-1].model["message"] == "hotserve has just begun"
    first, second = served.add("loja-a"), served.add("loja-b")
    assert served.add("loja-a") is first
    assert first.cache.folder != second.cache.folder
    assert first.switcher.preparation.slots is second.switcher.preparation.slots
    assert first.switcher.preparation.slots.are_few
    assert changes_of(pool, "loja-a")[-1].model["name"] == "loja-a"
    state = served.state()
    assert (sorted(state.models), state.worker_restarts) == (["loja-a", "loja-b"], 4)
    assert state.all == served.overview
    await served.close()


@fake_clock
async def test_what_is_of_all_is_told_when_it_changes(tmp_path: Path) -> None:
    served, pool = models(tmp_path)
    for message in ("away", "away", None):
        served.update_overview(message=message)
    shown = [change.model["message"] for change in changes_of(pool, "")]
    assert shown == ["hotserve has just begun", "away", None]
    assert served.overview["uri"] == MANY


@fake_clock
async def test_what_a_worker_says_of_a_model_reaches_that_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, pool = models(tmp_path)
    calls: list[Any] = []

    def listen(model: Follower, name: str) -> None:
        for of, method in (
            (model.switcher.publisher, "in_use"),
            (model.switcher.publisher, "batching_failed"),
            (model.switcher, "wake"),
        ):
            monkeypatch.setattr(
                of, method, lambda *said, of=(name, method): calls.append((*of, *said))
            )

    for name in ("loja-a", "loja-b"):
        listen(served.add(name), name)
    for name in ("loja-b", "gone"):
        pool.on_model(InUse(name, 3))
        pool.on_model(BatchingFailed(name, "7", "it gave 1 prediction for 2 rows"))
        pool.on_model(Wake(name))
    assert calls == [
        ("loja-b", "in_use", 3),
        ("loja-b", "batching_failed", "7", "it gave 1 prediction for 2 rows"),
        ("loja-b", "wake"),
    ]
    await served.close()


@fake_clock
async def test_a_model_that_ends_is_not_served_again_by_the_next_start(tmp_path: Path) -> None:
    served, pool = models(tmp_path)
    for name in ("loja-a", "loja-b"):
        served.add(name).cache.save_last_served(version())
    # Both notes are of this name; of which model they are, their folders say.
    notes = sorted(tmp_path.glob("*/serving-*.json"))
    assert [note.parent.name[:6] for note in notes] == ["loja-a", "loja-b"]
    publisher = served.by_name["loja-a"].switcher.publisher
    entries = [each.cache.entry(version()) for each in served.by_name.values()]
    for entry in entries:
        entry.model.mkdir(parents=True)
        (entry.model / "MLmodel").touch()
    served.end("loja-a")
    publisher.status.note("too late")
    await served.close()
    assert [*served.by_name] == ["loja-b"]
    assert [note.exists() for note in notes] == [False, True]
    assert [entry.is_complete() for entry in entries] == [False, True], "its files go, too"
    assert changes_of(pool, "loja-a")[-1].is_gone


@fake_clock
async def test_what_the_active_version_was_sent_is_shown(tmp_path: Path) -> None:
    served, pool = models(tmp_path)
    for name in ("loja-a", "loja-b"):
        served.add(name)
    served.by_name["loja-a"].switcher.publisher.active = deployment()
    showing = asyncio.create_task(served.show_seen(lambda name, of: {"sent": f"{name} {of}"}))
    await asyncio.sleep(15)
    showing.cancel()
    seen = [changes_of(pool, name)[-1].model["seen"] for name in ("loja-a", "loja-b")]
    assert seen == [{"sent": "loja-a 1"}, None]
