"""Chunks to several workers, answers in order; what becomes of a worker that dies."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

import produtos
from produtos.batch import pool
from produtos.batch.pool import ModelFolder
from produtos.errors import BadInput
from produtos.io.rows import Chunk, batch_of, strings
from tests.support.commands import completed

FOLDERS = [("/models/1", "model 1")]
MANY = 40


class Model:
    def answers(self, texts: Sequence[str]) -> list[str]:
        if "bomb" in texts:
            raise BadInput("model 1: does not classify a list of texts")
        return [f"answer to {text}" for text in texts]


def chunks(*texts: str) -> list[Chunk]:
    return [Chunk([text], batch_of([[text]], strings(["texto"]))) for text in texts]


NUMBERED = [f"text {number}" for number in range(MANY)]
ANSWERED = [[[f"answer to {text}"]] for text in NUMBERED]


class Worker:
    """Answers in this process; `made` has all of them."""

    made: list["Worker"]
    begun: list[str]
    turn: threading.Barrier | None

    def __init__(self, folders: Sequence[ModelFolder]) -> None:
        assert folders == FOLDERS
        self.killed = False
        Worker.made.append(self)

    def ask(self, texts: list[str]) -> pool.Answers:
        Worker.begun.extend(texts)
        if Worker.turn is not None and texts[0] in NUMBERED[:2]:
            # Nobody answers before two are asked: each has a chunk of its own.
            Worker.turn.wait(60)
        return [Model().answers(texts)]

    def kill(self) -> None:
        self.killed = True


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    Worker.made, Worker.begun, Worker.turn = [], [], None
    monkeypatch.setattr(pool, "_Worker", Worker)
    monkeypatch.setattr(pool, "load", lambda folders: [Model() for _ in folders])
    return Worker.made


def test_answers_come_in_the_order_of_the_chunks(workers: list[Worker]) -> None:
    Worker.turn = threading.Barrier(2)
    answered = list(pool.classify(FOLDERS, chunks(*NUMBERED), 2))
    assert [chunk.texts[0] for chunk, _ in answered] == NUMBERED
    assert [answers for _, answers in answered] == ANSWERED
    assert [worker.killed for worker in workers] == [True, True]


def test_a_slow_chunk_is_waited_for_and_the_others_do_not_overtake_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last_of_the_first_round = threading.Event()

    def ask(_: Worker, texts: list[str]) -> pool.Answers:
        if texts == NUMBERED[:1]:
            assert last_of_the_first_round.wait(60)
        if texts == NUMBERED[2 * pool.CHUNKS_PER_WORKER - 1 : 2 * pool.CHUNKS_PER_WORKER]:
            last_of_the_first_round.set()
        return [Model().answers(texts)]

    monkeypatch.setattr(Worker, "ask", ask)
    answered = list(pool.classify(FOLDERS, chunks(*NUMBERED), 2))
    assert [answers for _, answers in answered] == ANSWERED


def test_only_a_few_chunks_are_read_ahead() -> None:
    read = 0

    def reading() -> Iterator[Chunk]:
        nonlocal read
        for chunk in chunks(*NUMBERED):
            read += 1
            yield chunk

    for taken, _ in enumerate(pool.classify(FOLDERS, reading(), 2), start=1):
        assert read <= min(MANY, taken - 1 + 2 * pool.CHUNKS_PER_WORKER)


@pytest.mark.parametrize(("texts", "size"), [(NUMBERED[:1], 2), (NUMBERED[:3], 1), ([], 2)])
def test_little_or_one_worker_needs_no_other_process(
    texts: list[str], size: int, workers: list[Worker]
) -> None:
    answered = list(pool.classify(FOLDERS, chunks(*texts), size))
    assert [answers for _, answers in answered] == ANSWERED[: len(texts)]
    assert not workers


def test_a_chunk_without_texts_is_not_asked_about() -> None:
    empty = Chunk([], batch_of([], strings(["texto"])))
    assert [answers for _, answers in pool.classify(FOLDERS, [empty], 1)] == [[[]]]
    assert pool.answers([Model(), Model()], []) == [[], []]  # type: ignore[list-item]


def test_workers_end_when_one_of_them_fails_and_when_nobody_wants_more(
    workers: list[Worker],
) -> None:
    with pytest.raises(BadInput, match="does not classify"):
        list(pool.classify(FOLDERS, chunks("a", "b", "bomb", "c", *NUMBERED), 3))
    assert [worker.killed for worker in workers] == [True] * 3
    assert len(Worker.begun) < MANY
    workers.clear()
    answered = pool.classify(FOLDERS, chunks(*NUMBERED), 2)
    next(answered)
    answered.close()  # type: ignore[attr-defined]
    assert [worker.killed for worker in workers] == [True, True]


class RealWorker(pool._Worker):
    """A worker without its process: the test holds the other end of its pipe."""

    def __init__(self) -> None:
        self._connection, self.other = Pipe()


def test_a_worker_that_was_killed_is_one_sentence() -> None:
    for received in (True, False):
        worker = RealWorker()
        if received:
            worker._connection.send(["halo"])
            worker.other.recv()
        worker.other.close()
        with pytest.raises(BadInput, match=r"worker process was killed.*--workers 1"):
            worker.ask(["boneca"])


def test_what_a_worker_sends_is_the_answer_or_the_error() -> None:
    worker = RealWorker()
    worker.other.send([["game"]])
    assert worker.ask(["halo"]) == [["game"]]
    assert worker.other.recv() == ["halo"]
    worker.other.send(BadInput("model 1: cannot be loaded"))
    with pytest.raises(BadInput, match="model 1: cannot be loaded"):
        worker.ask(["halo"])


@pytest.fixture
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_worker_serves_until_the_job_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Any] = []

    def load(folders: Sequence[ModelFolder]) -> list[Model]:
        loaded.append(folders)
        return [Model()]

    monkeypatch.setattr(pool, "load", load)
    ours, theirs = Pipe()
    for texts in (["halo"], ["bomb"], [], ["boneca", "batom"]):
        ours.send(texts)
    received: list[Any] = []

    def take() -> None:
        received.extend(ours.recv() for _ in range(4))
        ours.close()

    taker = threading.Thread(target=take)
    taker.start()
    pool._serve(theirs, FOLDERS)
    taker.join()
    assert [received[0], received[2], received[3]] == [
        [["answer to halo"]],
        [[]],
        [["answer to boneca", "answer to batom"]],
    ]
    assert "does not classify" in str(received[1])
    assert loaded == [FOLDERS]
    assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_workers_are_prepared_for_a_large_input_only(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(pool, "_context", lambda: begun.append("context"))
    monkeypatch.setattr("multiprocessing.forkserver.ensure_running", lambda: begun.append("server"))
    pool.preload(pool.LARGE - 1, 2)
    pool.preload(pool.LARGE, 1)
    assert not begun
    pool.preload(pool.LARGE, 2)
    assert begun == ["context", "server"]


def test_workers_have_a_short_folder_for_their_sockets_where_the_temporary_one_is_long(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    code = (
        "import tempfile\n"
        "from multiprocessing import util\n"
        "from produtos.batch import pool\n"
        "pool._context()\n"
        "print(util.get_temp_dir(), tempfile.gettempdir(), sep='\\n')"
    )
    trainer = Path(produtos.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(trainer), "TMPDIR": str(folder)}
    ended = completed([sys.executable, "-c", code], env=environment, timeout=120)
    sockets, others = ended.stdout.split()
    assert sockets.startswith("/tmp/pymp-")
    assert others == str(folder)
