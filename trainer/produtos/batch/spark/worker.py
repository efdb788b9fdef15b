"""What runs on the cluster: a part of the input read and classified, or a chunk classified.

Not Spark's CSV reader: it drops or fills rows that are broken, and does not say on which line.
"""

import gc
import pickle
from collections.abc import Sequence
from dataclasses import dataclass

from produtos.batch import pool
from produtos.batch.answered import Answered, Form
from produtos.batch.pool import Answers, ModelFolder
from produtos.errors import BadInput
from produtos.io import csv_parts
from produtos.io.csv import CsvTable
from produtos.io.parquet import ParquetTable
from produtos.model.loaded import LoadedModel
from produtos.spark.session import received, take_over


@dataclass(frozen=True)
class Reading:
    """A part of a file that is to be read.

    Attributes:
        table: the file.
        start: of the part: a byte of a CSV, the number of a row in Parquet.
        end: of the part.
        position: how much of the whole input has been read after it, in bytes.
    """

    table: CsvTable | ParquetTable
    start: int
    end: int
    position: int


Work = Reading | list[str]
"""What is done at a time: a part, or texts that were read elsewhere."""


@dataclass(frozen=True)
class Done:
    """A part that was read and classified.

    Attributes:
        start: where its first row began, as in `Part`.
        end: where the first row below it begins.
        lines: how many lines there are between them.
        answered: the rows; lines of bad ones are counted from the part's first line, which is 1.
    """

    start: int
    end: int
    lines: int
    answered: list[Answered]


Result = Done | Answers
"""What is sent back: for texts that were read elsewhere only the answers."""

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
        `Result`, pickled, or a `BadInput`: raised, Spark would try again what cannot succeed.
    """
    take_over(settings)
    try:
        return pickle.dumps(_result(work, folders, form), pickle.HIGHEST_PROTOCOL)
    except BadInput as error:
        return pickle.dumps(error)


def _result(work: Work, folders: Sequence[ModelFolder], form: Form) -> Result:
    if not _models:
        found = [(received(name), label) for name, label in folders]
        _models.extend(pool.load(found))
        # As in `job`: the lists of each part make Python look for cycles among all of this, too.
        gc.freeze()
    if isinstance(work, list):
        return pool.answers(_models, work)
    if isinstance(work.table, ParquetTable):
        part = work.table.read(work.start, work.end)
    else:
        part = csv_parts.read(work.table, work.start, work.end)
    answered = [form.of(chunk, pool.answers(_models, chunk.texts)) for chunk in part.chunks]
    return Done(part.start, part.end, part.lines, answered)
