"""Input cut into pieces of work, and their answers in the order of the input."""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from produtos.batch.answered import Answered, Form
from produtos.batch.inputs import Inputs, chunks
from produtos.batch.pool import ModelFolder
from produtos.batch.request import Request
from produtos.batch.spark import worker
from produtos.batch.spark.worker import Reading, Work
from produtos.errors import BadInput
from produtos.in_order import in_order
from produtos.io.rows import Chunk, Part
from produtos.io.storage import ENDPOINT_VARIABLES
from produtos.spark.session import Session

SENT = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED"),
    *ENDPOINT_VARIABLES,
    "no_proxy",
)
"""Variables that go to the cluster with each piece of work, and not into Spark's settings, which
its web page shows."""

Submit = Callable[[Work], Future[bytes]]


def run(
    spark: Session,
    request: Request,
    inputs: Inputs,
    folders: Sequence[ModelFolder],
    form: Form,
) -> Iterator[Answered]:
    """Read and classify the whole input on Spark: the engine of `job.run`."""
    sent = [(f"modelo-{number}", label) for number, (_, label) in enumerate(folders)]
    for (folder, _), (name, _) in zip(folders, sent, strict=True):
        spark.send(folder, name)
    settings = {name: os.environ[name] for name in SENT if os.environ.get(name)}
    answer = partial(worker.answer, folders=sent, form=form, settings=settings)
    submit = partial(spark.submit, answer)
    yield from classify(submit, works(request, inputs), spark.at_once)


def works(request: Request, inputs: Inputs) -> Iterator[Work]:
    """All the work of a job, in the order of the input.

    What cannot be read in parts, such as a gzipped file, is read here and classified there.
    """
    if request.texts:
        yield from chunks(request, inputs)
    for table in inputs.tables:
        whole = table.location.size()
        parts = list(table.parts())
        for start, end in parts:
            yield Reading(table, start, end, whole * (end - start) // parts[-1][1])
        if not parts:
            yield from table.chunks()


def classify(
    submit: Submit, works: Iterator[Work], at_once: Callable[[], int]
) -> Iterator[Answered]:
    """Have all the work done, never holding more than some of it.

    Args:
        submit: has a piece of it done by `worker.answer`.
        works: all of it.
        at_once: how many pieces may be under way now.

    Raises:
        BadInput: a file or a model is of no use, or the cluster could not do it.
    """
    table, end, lines = None, 0, 0
    for work, done in in_order(works, submit, at_once):
        part = _part(done)
        if isinstance(work, Chunk):
            yield from part.chunks
            continue
        if work.table is not table:
            table, end, lines = work.table, work.start, 0
        if part.start != end:
            # A row of the part above goes on in this one, or beyond it.
            if end >= work.end:
                continue
            part = _part(submit(replace(work, start=end)).result())
        for number, some in enumerate(part.chunks):
            bad = [replace(row, line=lines + row.line) for row in some.bad]
            yield replace(some, bad=bad, size=0 if number else work.size)
        end, lines = part.end, lines + part.lines


def _part(done: bytes) -> Part[Answered]:
    part: Part[Answered] | BadInput = pickle.loads(done)
    if isinstance(part, BadInput):
        raise part
    return part
