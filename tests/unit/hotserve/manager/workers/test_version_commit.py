"""All front workers change over to another version at once."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Commit, Message, Prepare, Target
from hotserve.ipc.shared_version import SharedVersion
from hotserve.manager.workers.version_commit import VersionCommit
from hotserve.worker.serving import Prepared, Serving
from tests.support.fake_clock import fake_clock


def target(generation: int) -> Target:
    return Target(generation, 1000 + generation, str(generation), "3.0", TextInput("texts", ()))


def change(version: int) -> Prepare:
    return Prepare(target=target(version), model={"version": str(version)})


class Worker:
    """A worker whose messages from the manager lie there until it takes them."""

    def __init__(self, shared: SharedVersion) -> None:
        self.idle: list[int] = []
        # Its own view of the same memory, as in another process.
        self.serving = Serving(self.idle.append, lambda: None, SharedVersion(os.dup(shared.fd)))
        self.inbox: list[Message] = []

    def send(self, message: Message) -> None:
        self.inbox.append(message)

    def may_begin(self) -> bool:
        """Whether it was told that it is waited for."""
        return Commit() in self.inbox

    def take(self, acknowledge: Callable[[int], None]) -> None:
        """Take all that lies there."""
        messages, self.inbox = self.inbox, []
        for message in messages:
            if isinstance(message, Prepare):
                self.serving.prepare(Prepared(message))
                acknowledge(message.number)
            else:
                self.serving.now()

    @property
    def version(self) -> str:
        return str(self.serving.now().change.model["version"])


class Pool:
    """A manager with workers that joined."""

    def __init__(self, workers: int) -> None:
        self.workers: dict[int, Worker] = {}
        channels: Any = self.workers
        self.manager = VersionCommit(channels)
        self.manager.prepare(change(1))
        for number in range(workers):
            self.join(number)

    def join(self, number: int) -> None:
        self.workers[number] = Worker(self.manager.shared)
        self.manager.joined(number)
        self.take(number)

    def take(self, number: int) -> None:
        self.workers[number].take(lambda change: self.manager.acknowledged(number, change))

    def versions(self) -> list[str]:
        return [worker.version for worker in self.workers.values()]


@fake_clock
async def test_nobody_goes_ahead_and_nobody_stays_behind() -> None:
    pool = Pool(workers=3)
    pool.manager.prepare(change(2))
    pool.take(0)
    pool.take(2)
    assert pool.versions() == ["1", "1", "1"]
    pool.take(1)
    # At once: before any of them takes another message.
    assert pool.versions() == ["2", "2", "2"]


@fake_clock
async def test_several_changes_come_in_their_order() -> None:
    pool = Pool(workers=2)
    for version in (2, 3, 4):
        pool.manager.prepare(change(version))
        pool.take(0)
    assert pool.versions() == ["1", "1"]
    pool.take(1)
    assert pool.versions() == ["4", "4"]


@fake_clock
async def test_a_worker_that_comes_in_between() -> None:
    pool = Pool(workers=2)
    pool.manager.prepare(change(2))
    pool.take(0)
    pool.join(2)
    assert pool.versions() == ["1", "1", "1"]
    pool.take(1)
    assert pool.versions() == ["2", "2", "2"]
    pool.join(3)
    assert pool.workers[3].version == "2"


@fake_clock
async def test_a_worker_that_begins_holds_up_nobody_and_takes_no_request_before_it_counts() -> None:
    pool = Pool(workers=1)
    late = pool.workers[7] = Worker(pool.manager.shared)
    pool.manager.joined(7)
    pool.manager.prepare(change(2))
    pool.take(0)
    assert pool.workers[0].version == "2"
    assert not late.may_begin()
    pool.take(7)
    assert late.may_begin()
    assert late.version == "2"
    pool.manager.prepare(change(3))
    pool.take(0)
    assert pool.versions() == ["2", "2"]


@fake_clock
async def test_a_worker_that_dies_holds_up_nobody() -> None:
    pool = Pool(workers=2)
    pool.manager.prepare(change(2))
    pool.take(0)
    del pool.workers[1]
    pool.manager.gone(1)
    assert pool.versions() == ["2"]


@fake_clock
async def test_a_worker_that_is_stopped_holds_up_nobody_for_long() -> None:
    pool = Pool(workers=2)
    pool.manager.prepare(change(2))
    pool.take(0)
    await asyncio.sleep(9)
    assert pool.versions() == ["1", "1"]
    await asyncio.sleep(1)
    assert pool.versions() == ["2", "1"]
    pool.take(1)
    assert pool.versions() == ["2", "2"]


@fake_clock
async def test_an_old_process_is_idle_when_the_change_counts_and_its_requests_are_over() -> None:
    pool = Pool(workers=2)
    busy, free = pool.workers.values()
    old = target(1)
    busy.serving.begin(old)
    pool.manager.prepare(change(2))
    pool.take(0)
    assert (busy.idle, free.idle) == ([], [])
    pool.take(1)
    for number in pool.workers:
        pool.take(number)
    assert (busy.idle, free.idle) == ([], [1])
    busy.serving.end(old)
    assert busy.idle == [1]


@fake_clock
async def test_a_process_that_was_passed_over_is_idle_too() -> None:
    pool = Pool(workers=2)
    pool.manager.prepare(change(2))
    pool.manager.prepare(change(3))
    pool.take(0)
    pool.take(1)
    for number in pool.workers:
        pool.take(number)
    assert [worker.idle for worker in pool.workers.values()] == [[1, 2], [1, 2]]


@fake_clock
async def test_who_waits_notices_the_change() -> None:
    pool = Pool(workers=2)
    waiting = asyncio.create_task(pool.workers[0].serving.wait_until_not(target(1), float("inf")))
    pool.manager.prepare(change(2))
    pool.take(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    pool.take(1)
    pool.take(0)
    await asyncio.wait_for(waiting, 60)


@fake_clock
async def test_changes_of_several_models_count_for_theirs_alone() -> None:
    shared = Pool(workers=0).manager.shared
    channels: Any = {}
    manager = VersionCommit(channels)
    one, other = (replace(change(number), name=name) for number, name in ((1, "a"), (2, "b")))
    for each in (one, other):
        manager.prepare(each)
    assert manager.generations() == {1, 2}
    channels[7] = worker = Worker(shared)
    manager.joined(7)
    assert [each.name for each in worker.inbox if isinstance(each, Prepare)] == ["a", "b"]
    manager.prepare(replace(change(3), name="a"))
    manager.prepare(Prepare(name="b", is_gone=True))
    for number in range(1, 5):
        manager.acknowledged(7, number)
    # It was told that it counts behind all that it has to know.
    kinds = [type(each).__name__ for each in worker.inbox]
    assert kinds[:4] == ["Prepare"] * 4
    assert manager.generations() == {3}
    channels[8] = late = Worker(shared)
    manager.joined(8)
    assert [(each.name, each.number) for each in late.inbox] == [("a", 3)]  # type: ignore[union-attr]
