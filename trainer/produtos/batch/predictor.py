"""Chunks of texts to several processes, answers back in the order of the chunks."""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

from joblib import cpu_count  # type: ignore[import-untyped]

from produtos.batch import worker
from produtos.batch.rows import Chunk
from produtos.batch.worker import ModelFolder
from produtos.errors import BadInput

Answered = tuple[Chunk, list[list[str]]]
"""A chunk, and for each model a category for each of its texts."""

WAITING = 3
"""Chunks under way for each worker: one is worked on, the others keep it from waiting."""


LARGE = 4 << 20
"""Bytes of input from which on there will be more than one chunk, most likely."""

PRELOADED = (
    *("mlflow.pyfunc", "skops.io", "sklearn.pipeline", "sklearn.feature_extraction.text"),
    *("sklearn.naive_bayes", "sklearn.linear_model"),
)
"""What loading a model imports; nothing of this project, which Python 3.11's fork server cannot
find."""


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
        _context()
        forkserver.ensure_running()


def _context() -> ForkServerContext:
    # Neither fork, which copies locks that a thread of pyarrow may hold, nor spawn, which would
    # import everything once for each worker.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


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
    pool = ProcessPoolExecutor(workers, _context(), initializer=worker.start, initargs=(folders,))
    try:
        yield from _in_order(pool, chain(first, chunks), workers * WAITING)
    except BrokenProcessPool:
        raise BadInput(
            "a worker process was killed, most likely for want of memory; try again with fewer, "
            "such as --workers 1"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, chunks: Iterable[Chunk], most: int) -> Iterator[Answered]:
    under_way: deque[tuple[Chunk, Future[list[list[str]]]]] = deque()
    for chunk in chunks:
        under_way.append((chunk, pool.submit(worker.classify, chunk.texts)))
        if len(under_way) >= most:
            oldest, future = under_way.popleft()
            yield oldest, future.result()
    while under_way:
        oldest, future = under_way.popleft()
        yield oldest, future.result()
