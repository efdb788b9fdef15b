"""What runs on the cluster: a part of the input read and classified, or a chunk classified.

Not Spark's CSV reader: it drops or fills rows that are broken, and does not say on which line.
"""

import gc
import pickle
from collections.abc import Sequence
from dataclasses import dataclass

from produtos.batch import pool
from produtos.batch.answered import Answered, Form
from produtos.batch.pool import ModelFolder
from produtos.errors import BadInput
from produtos.io.csv import CsvTable
from produtos.io.parquet import ParquetTable
from produtos.io.rows import Chunk, Part
from produtos.model.loaded import LoadedModel
from produtos.spark.session import received, take_over


@dataclass(frozen=True)
class Reading:
    """A part of a file that is to be read.

    Attributes:
        table: the file.
        start: of the part: a byte of a CSV, the number of a row in Parquet.
        end: of the part.
        size: in bytes.
    """

    table: CsvTable | ParquetTable
    start: int
    end: int
    size: int


Work = Reading | Chunk
"""What is done at a time: a part, or rows that were read elsewhere."""


_models: list[LoadedModel] = []
"""Of this process, which Spark uses for one piece of work after the other."""


def answer(
    work: Work, folders: Sequence[ModelFolder], form: Form, settings: dict[str, str]
) -> bytes:
    """Do some work.

    Args:
        work: to be done.
        folders: the models, by the names of the folders that were sent.
        form: of the answers.
        settings: environment variables that say where S3 is and who asks.

    Returns:
        The part with its answers, pickled, or a `BadInput`: raised, Spark would try again what
        cannot succeed.
    """
    take_over(settings)
    try:
        return pickle.dumps(_result(work, folders, form), pickle.HIGHEST_PROTOCOL)
    except BadInput as error:
        return pickle.dumps(error)


def _result(work: Work, folders: Sequence[ModelFolder], form: Form) -> Part[Answered]:
    if not _models:
        found = [(received(name), label) for name, label in folders]
        _models.extend(pool.load(found))
        # As in `job`: the lists of each part make Python look for cycles among all of this, too.
        gc.freeze()
    if isinstance(work, Chunk):
        part = Part(0, 0, 0, [work])
    else:
        part = work.table.read(work.start, work.end)
    answered = [form.of(chunk, pool.answers(_models, chunk.texts)) for chunk in part.chunks]
    return Part(part.start, part.end, part.lines, answered)
