"""The token file is read again while hotserve runs."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hotserve.config.tokens import Client, of_file
from hotserve.log import logger
from hotserve.manager.workers import token_watch


class FakePool:
    """Keeps the tokens that the workers would be given."""

    def __init__(self) -> None:
        self.given: list[dict[str, Client]] = []

    def use_tokens(self, tokens: dict[str, Client]) -> None:
        self.given.append(tokens)


class Clock:
    """Lets a test say when the next look is."""

    def __init__(self) -> None:
        self._looks: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def sleep(self, _: float) -> None:
        event = asyncio.Event()
        await self._looks.put(event)
        await event.wait()

    async def looks(self, count: int) -> None:
        """Return when the watch has looked so often."""
        for _ in range(count):
            (await self._looks.get()).set()
        # It sleeps again when it has done what there was to do.
        await self._looks.put(await self._looks.get())


@asynccontextmanager
async def watching(
    file: Path, patch: pytest.MonkeyPatch, written_meanwhile: str = ""
) -> AsyncIterator[tuple[FakePool, Clock]]:
    pool, clock = FakePool(), Clock()
    patch.setattr("hotserve.manager.workers.token_watch.asyncio.sleep", clock.sleep)
    known = of_file(str(file))
    if written_meanwhile:
        file.write_text(written_meanwhile)
    task = asyncio.create_task(token_watch.follow(str(file), known, pool))  # type: ignore[arg-type]
    try:
        yield pool, clock
    finally:
        task.cancel()


@pytest.mark.anyio
async def test_a_changed_file_counts_once_it_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text("one\n")

    async with watching(file, monkeypatch) as (pool, clock):
        await clock.looks(2)
        assert pool.given == []
        file.write_text("one\ntw")
        await clock.looks(1)
        assert pool.given == [], "somebody may still be writing it"
        file.write_text("one\nana two\n")
        await clock.looks(1)
        assert pool.given == []
        await clock.looks(3)
        assert pool.given == [{"one": Client(), "two": Client("ana")}]
        file.write_text("ana two\n")
        await clock.looks(2)
        assert pool.given[1:] == [{"two": Client("ana")}]


@pytest.mark.anyio
async def test_what_is_written_between_the_start_and_the_first_look_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text("one\ntwo\n")
    async with watching(file, monkeypatch, "one\n") as (pool, clock):
        await clock.looks(5)
        assert pool.given == [{"one": Client()}], "the one that was taken away is good for ever"


@pytest.mark.anyio
async def test_a_file_of_the_same_size_and_time_is_known_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text("one\n")

    async with watching(file, monkeypatch) as (pool, clock):
        other = tmp_path / "other"
        other.write_text("two\n")
        stat = file.stat()
        os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        await clock.looks(1)
        other.replace(file)
        await clock.looks(2)
        assert pool.given == [{"two": Client()}]


@pytest.mark.anyio
@pytest.mark.parametrize("content", [None, "not ascii: ã\n"])
async def test_a_file_that_can_not_be_used_changes_nothing_and_is_logged_once(
    tmp_path: Path,
    content: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, "hotserve")
    file = tmp_path / "tokens"
    file.write_text("one\n")

    async with watching(file, monkeypatch) as (pool, clock):
        await clock.looks(1)
        file.unlink() if content is None else file.write_text(content)
        await clock.looks(5)
        assert pool.given == []
        [message] = caplog.messages
        assert message.endswith("; the tokens of before still count")
        file.write_text("three\n")
        await clock.looks(2)
        assert pool.given == [{"three": Client()}]
        assert caplog.messages[1:] == ["the token file was read again: 1 tokens"]


@pytest.mark.anyio
async def test_a_file_without_a_token_any_more_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    file = tmp_path / "tokens"
    file.write_text("ana one\n")

    async with watching(file, monkeypatch) as (pool, clock):
        await clock.looks(1)
        file.write_text("# ana one\n")
        await clock.looks(2)
        assert pool.given == [{}]
        assert caplog.messages == [f"the token file {file} holds no token: nobody is answered"]
