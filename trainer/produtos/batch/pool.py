"""Worker processes that answer, each over a pipe of its own.

Not `concurrent.futures.ProcessPoolExecutor`: its workers share one pipe and its lock, and one that
is killed while it sends leaves the others, and the job, waiting for ever. Here the end of a worker
is the end of its pipe, which its thread sees.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import forkserver, util
from multiprocessing.context import ForkServerContext

from produtos.batch import worker
from produtos.batch.worker import ModelFolder
from produtos.errors import BadInput

PRELOADED = (
    *("mlflow.pyfunc", "skops.io", "sklearn.pipeline", "sklearn.feature_extraction.text"),
    *("sklearn.naive_bayes", "sklearn.linear_model"),
)
"""What loading a model imports; nothing of this project, which Python 3.11's fork server cannot
find."""

LONGEST_FOLDER_OF_SOCKETS = 107 - len("/pymp-12345678/listener-12345678")
"""Bytes of the temporary folder's path, to which Python adds a folder and a name."""


def prepare() -> None:
    """Let the workers' imports begin."""
    _context()
    forkserver.ensure_running()


def _context() -> ForkServerContext:
    # Neither fork, which copies locks that a thread of pyarrow may hold, nor spawn, which would
    # import everything once for each worker.
    _choose_folder_of_sockets()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _choose_folder_of_sockets() -> None:
    """See that the fork server's socket can be made where the path of TMPDIR is long.

    A socket's path may have 107 characters at most. Python 3.14 does the same by itself.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER_OF_SOCKETS:
        return
    before, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        # It is made once, and kept in mind.
        util.get_temp_dir()
    finally:
        tempfile.tempdir = before


class Team:
    """Workers, and for each a thread that talks to it."""

    def __init__(self, folders: Sequence[ModelFolder], size: int) -> None:
        """Start `size` workers that answer with the models in `folders`."""
        self._workers = [_Worker(folders) for _ in range(size)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for each in self._workers:
            self._idle.put(each)
        self._threads = ThreadPoolExecutor(size)

    def ask(self, texts: list[str]) -> Future[list[list[str]]]:
        """What `worker.classify` will give; BadInput there, or if the worker died."""
        return self._threads.submit(self._ask, texts)

    def _ask(self, texts: list[str]) -> list[list[str]]:
        # As many threads as workers: there is always one.
        free = self._idle.get()
        try:
            return free.ask(texts)
        finally:
            self._idle.put(free)

    def end(self) -> None:
        """Return when no worker is left, whatever they were doing."""
        for each in self._workers:
            each.kill()
        self._threads.shutdown(cancel_futures=True)


class _Worker:
    def __init__(self, folders: Sequence[ModelFolder]) -> None:
        context = _context()
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=worker.serve, args=(theirs, folders))
        self._process.start()
        theirs.close()

    def ask(self, texts: list[str]) -> list[list[str]]:
        try:
            self._connection.send(texts)
            answers: list[list[str]] | BadInput = self._connection.recv()
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
