"""Processes that classify chunks of texts; their answers come in the order of the chunks.

Each worker has a pipe of its own, so that its end is the end of its pipe, which its thread sees.
The workers of `concurrent.futures.ProcessPoolExecutor`, and of loky, share one: where one of them
is killed while it sends, the job waits for ever.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from itertools import chain, islice
from multiprocessing import forkserver, util
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext

from produtos.errors import BadInput
from produtos.in_order import in_order
from produtos.io.rows import Chunk
from produtos.model.loaded import LoadedModel

Answers = list[list[str]]
"""For each model, a category for each text."""

CHUNKS_PER_WORKER = 3
"""Under way: one is worked on, the others keep the worker from waiting."""

LARGE = 4 << 20
"""Bytes of input from which on there will be more than one chunk, most likely."""

ModelFolder = tuple[str, str]
"""A model on this machine's disk, and what it is called in an error message."""

PRELOADED = (
    *("mlflow.pyfunc", "skops.io", "sklearn.pipeline", "sklearn.feature_extraction.text"),
    *("sklearn.naive_bayes", "sklearn.linear_model"),
)
"""What loading a model imports; nothing of this project, which Python 3.11's fork server cannot
find."""

LONGEST_TEMPORARY_FOLDER = 107 - len("/pymp-12345678/listener-12345678")
"""Bytes of the path, to which Python adds a folder and a socket's name."""


def preload(size: int, workers: int) -> None:
    """Let the workers' imports begin, while this process still talks to the tracking server.

    Args:
        size: of the input, in bytes; a small one needs no workers.
        workers: how many there may be.
    """
    if size >= LARGE and workers > 1:
        _context()
        forkserver.ensure_running()


def classify(
    folders: Sequence[ModelFolder], chunks: Iterable[Chunk], workers: int
) -> Iterator[tuple[Chunk, Answers]]:
    """Classify chunks as they come, never holding more than a few of them.

    What fits into one chunk is answered in this process: starting others would take longer.

    Raises:
        BadInput: a model does not work, or a worker died.
    """
    chunks = iter(chunks)
    first = list(islice(chunks, 2))
    if workers == 1 or len(first) < 2:
        models = load(folders)
        for chunk in chain(first, chunks):
            yield chunk, answers(models, chunk.texts)
        return
    started = [_Worker(folders) for _ in range(workers)]
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    for worker in started:
        idle.put(worker)

    def ask(chunk: Chunk) -> Answers:
        # As many threads as workers: there is always one.
        worker = idle.get()
        try:
            return worker.ask(chunk.texts)
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(workers)

    def submit(chunk: Chunk) -> Future[Answers]:
        return threads.submit(ask, chunk)

    try:
        yield from in_order(chain(first, chunks), submit, lambda: workers * CHUNKS_PER_WORKER)
    finally:
        for worker in started:
            worker.kill()
        threads.shutdown(cancel_futures=True)


def load(folders: Sequence[ModelFolder]) -> list[LoadedModel]:
    # Taken here and not filtered: around the class of a foreign model MLflow sets its own filter.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    return [LoadedModel(path, label) for path, label in folders]


def answers(models: Sequence[LoadedModel], texts: list[str]) -> Answers:
    return [model.answers(texts) if texts else [] for model in models]


@cache
def _context() -> ForkServerContext:
    # A socket's path may have 107 characters at most. Python 3.14 sees to it by itself.
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_TEMPORARY_FOLDER:
        before, tempfile.tempdir = tempfile.tempdir, "/tmp"
        util.get_temp_dir()
        tempfile.tempdir = before
    # Neither fork, which copies locks that a thread of pyarrow may hold, nor spawn, which would
    # import everything once for each worker.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


class _Worker:
    def __init__(self, folders: Sequence[ModelFolder]) -> None:
        self._connection, theirs = _context().Pipe()
        self._process = _context().Process(target=_serve, args=(theirs, folders))
        self._process.start()
        theirs.close()

    def ask(self, texts: list[str]) -> Answers:
        try:
            self._connection.send(texts)
            answers: Answers | BadInput = self._connection.recv()
        except (EOFError, OSError):
            raise BadInput(
                "a worker process was killed, most likely for want of memory; try again with "
                "fewer, such as --workers 1"
            ) from None
        if isinstance(answers, BadInput):
            raise answers
        return answers

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, folders: Sequence[ModelFolder]) -> None:
    """Be a worker: answer lists of texts, or send a BadInput, until the other side is gone."""
    # Ctrl-C, and the end of a terminal, go to the whole group; the job's own process ends this one.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    models: list[LoadedModel] = []
    with suppress(EOFError, OSError):
        while True:
            texts: list[str] = connection.recv()
            try:
                models = models or load(folders)
                connection.send(answers(models, texts))
            except BadInput as error:
                connection.send(error)
