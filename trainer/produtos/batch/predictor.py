"""Chunks of texts to several processes, answers back in the order of the chunks."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain

from joblib import cpu_count  # type: ignore[import-untyped]

from produtos.batch import pool as teams
from produtos.batch import worker
from produtos.batch.pool import Team
from produtos.batch.rows import Chunk
from produtos.batch.worker import ModelFolder

Answered = tuple[Chunk, list[list[str]]]
"""A chunk, and for each model a category for each of its texts."""

WAITING = 3
"""Chunks under way for each worker: one is worked on, the others keep it from waiting."""


LARGE = 4 << 20
"""Bytes of input from which on there will be more than one chunk, most likely."""


def default_workers() -> int:
    """The cores that this process may use, a container's limit counting."""
    return int(cpu_count())


def prepare(size: int, workers: int) -> None:
    """Let the workers' imports begin, while this process still talks to the tracking server.

    Args:
        size: of the input, in bytes; a small one needs no workers.
        workers: how many there may be.
    """
    if size >= LARGE and workers > 1:
        teams.prepare()


def answers(
    folders: Sequence[ModelFolder], chunks: Iterable[Chunk], workers: int
) -> Iterator[Answered]:
    """Classify chunks as they come, never holding more than a few of them.

    What fits into one chunk is answered in this process: starting others would take longer.

    Raises:
        BadInput: a model does not work, or a worker died.
    """
    chunks = iter(chunks)
    first = [chunk for _, chunk in zip(range(2), chunks, strict=False)]
    if workers == 1 or len(first) < 2:
        worker.use(folders)
        for chunk in chain(first, chunks):
            yield chunk, worker.classify(chunk.texts)
        return
    team = Team(folders, workers)
    try:
        yield from _in_order(team, chain(first, chunks), workers * WAITING)
    finally:
        team.end()


def _in_order(team: Team, chunks: Iterable[Chunk], most: int) -> Iterator[Answered]:
    under_way: deque[tuple[Chunk, Future[list[list[str]]]]] = deque()
    for chunk in chunks:
        under_way.append((chunk, team.ask(chunk.texts)))
        if len(under_way) >= most:
            oldest, future = under_way.popleft()
            yield oldest, future.result()
    while under_way:
        oldest, future = under_way.popleft()
        yield oldest, future.result()
