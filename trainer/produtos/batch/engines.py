"""What does the work of a job: the processes of this machine, or Spark."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from produtos.batch import pool
from produtos.batch.answered import Answered, Form
from produtos.batch.inputs import Inputs, chunks
from produtos.batch.job import Engine
from produtos.batch.pool import ModelFolder
from produtos.batch.request import Request
from produtos.batch.spark import engine
from produtos.spark.session import running


@contextmanager
def engine_of(request: Request, inputs: Inputs) -> Iterator[Engine]:
    """The engine that was asked for, ready until the end of the block.

    Raises:
        BadInput: it cannot be started.
    """
    if not request.spark_master:
        yield partial(_on_this_machine, request, inputs)
        return
    with running(request.spark_master, request.workers) as session:
        yield partial(engine.run, session, request, inputs)


def _on_this_machine(
    request: Request, inputs: Inputs, folders: Sequence[ModelFolder], form: Form
) -> Iterator[Answered]:
    answered = pool.classify(folders, chunks(request, inputs), request.workers)
    with closing(answered):  # type: ignore[type-var]
        for chunk, answers in answered:
            yield form.of(chunk, answers)
