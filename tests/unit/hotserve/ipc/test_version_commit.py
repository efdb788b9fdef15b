"""All front workers change over to another version at once."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from hotserve.inputs.model_input import TextInput
from hotserve.ipc.shared_version import Agreement
from hotserve.ipc.target import Target
from hotserve.manager import version_commit as announcements
from hotserve.manager.version_commit import Announcements
from hotserve.worker.serving import News, Serving

Message = dict[str, Any]


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def target(generation: int) -> Target:
    return Target(generation, 1000 + generation, str(generation), "3.0", TextInput("texts", ()))


def news(version: int) -> Message:
    return {"model": {"version": str(version)}, "target": {"generation": version}}


class Worker:
    """A worker whose messages from the manager lie there until it takes them."""

    def __init__(self, agreement: Agreement) -> None:
        self.idle: list[int] = []
        # Its own view of the same memory, as in another process.
        self.serving = Serving(self.idle.append, Agreement(os.dup(agreement.fd)))
        self.letters: list[Message] = []

    def send(self, kind: str, **fields: Any) -> None:
        self.letters.append({"type": kind, **fields})

    def has_begun(self) -> bool:
        """Whether it was told that it counts."""
        return {"type": "agreed"} in self.letters

    def take(self, heard: Callable[[int], None]) -> None:
        """Take all that lies there, and tell what was heard."""
        letters, self.letters = self.letters, []
        for letter in letters:
            if letter["type"] == "serving":
                generation = letter["target"]["generation"]
                self.serving.hear(
                    News(letter["number"], target(generation), letter["model"], False, None)
                )
                heard(letter["number"])
            else:
                self.serving.now()

    @property
    def version(self) -> str:
        return str(self.serving.now().model["version"])


class Team:
    """A manager with workers that joined."""

    def __init__(self, workers: int) -> None:
        self.workers: dict[int, Worker] = {}
        channels: Any = self.workers
        self.manager = Announcements(channels, news(1))
        for number in range(workers):
            self.join(number)

    def join(self, number: int) -> None:
        self.workers[number] = Worker(self.manager.agreement)
        self.manager.joined(number)
        self.take(number)

    def take(self, number: int) -> None:
        self.workers[number].take(lambda heard: self.manager.heard(number, heard))

    def versions(self) -> list[str]:
        return [worker.version for worker in self.workers.values()]


async def test_nobody_goes_ahead_and_nobody_stays_behind() -> None:
    team = Team(workers=3)
    team.manager.announce(news(2))
    team.take(0)
    team.take(2)
    assert team.versions() == ["1", "1", "1"]
    team.take(1)
    # At once: before any of them takes another message.
    assert team.versions() == ["2", "2", "2"]


async def test_several_changes_come_in_their_order() -> None:
    team = Team(workers=2)
    for version in (2, 3, 4):
        team.manager.announce(news(version))
        team.take(0)
    assert team.versions() == ["1", "1"]
    team.take(1)
    assert team.versions() == ["4", "4"]


async def test_a_worker_that_comes_in_between() -> None:
    team = Team(workers=2)
    team.manager.announce(news(2))
    team.take(0)
    team.join(2)
    assert team.versions() == ["1", "1", "1"]
    team.take(1)
    assert team.versions() == ["2", "2", "2"]
    team.join(3)
    assert team.workers[3].version == "2"


async def test_a_worker_that_begins_holds_up_nobody_and_takes_no_request_before_it_counts() -> None:
    team = Team(workers=1)
    late = team.workers[7] = Worker(team.manager.agreement)
    team.manager.joined(7)
    team.manager.announce(news(2))
    team.take(0)
    assert team.workers[0].version == "2"
    assert not late.has_begun()
    team.take(7)
    assert late.has_begun()
    assert late.version == "2"
    team.manager.announce(news(3))
    team.take(0)
    assert team.versions() == ["2", "2"]


async def test_a_worker_that_dies_holds_up_nobody() -> None:
    team = Team(workers=2)
    team.manager.announce(news(2))
    team.take(0)
    del team.workers[1]
    team.manager.gone(1)
    assert team.versions() == ["2"]


async def test_a_worker_that_is_stopped_holds_up_nobody_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(announcements, "_PATIENCE", 0.0)
    team = Team(workers=2)
    team.manager.announce(news(2))
    team.take(0)
    await asyncio.sleep(0)
    while team.workers[0].version != "2":
        await asyncio.sleep(0.001)
    assert team.workers[1].version == "1"
    team.take(1)
    assert team.versions() == ["2", "2"]


async def test_an_old_process_is_idle_when_the_change_counts_and_its_requests_are_over() -> None:
    team = Team(workers=2)
    busy, free = team.workers.values()
    old = target(1)
    busy.serving.begin(old)
    team.manager.announce(news(2))
    team.take(0)
    assert (busy.idle, free.idle) == ([], [])
    team.take(1)
    for number in team.workers:
        team.take(number)
    assert (busy.idle, free.idle) == ([], [1])
    busy.serving.end(old)
    assert busy.idle == [1]


async def test_a_process_that_was_passed_over_is_idle_too() -> None:
    team = Team(workers=2)
    team.manager.announce(news(2))
    team.manager.announce(news(3))
    team.take(0)
    team.take(1)
    for number in team.workers:
        team.take(number)
    assert [worker.idle for worker in team.workers.values()] == [[1, 2], [1, 2]]


async def test_who_waits_hears_of_the_change() -> None:
    team = Team(workers=2)
    waiting = asyncio.create_task(team.workers[0].serving.wait_until_not(target(1), float("inf")))
    team.manager.announce(news(2))
    team.take(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    team.take(1)
    team.take(0)
    await asyncio.wait_for(waiting, 60)
