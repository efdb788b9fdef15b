"""What runs on the cluster: a part of the input read and classified, or a chunk classified.

Not Spark's CSV reader: it drops or fills rows that are broken, and does not say on which line.
"""

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass

from produtos.batch import pool
from produtos.batch.io import csv_parts
from produtos.batch.io.csv import CsvTable
from produtos.batch.io.parquet import ParquetTable
from produtos.batch.io.rows import Part
from produtos.batch.pool import Answers, ModelFolder
from produtos.errors import BadInput
from produtos.model.loaded import LoadedModel


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

Answered = tuple[Part | None, list[Answers]]
"""What was read, if it was, and the answers for each of its chunks."""

_models: list[LoadedModel] = []
"""Of this process, which Spark uses for one piece of work after the other."""


def answer(work: Work, folders: Sequence[ModelFolder], settings: dict[str, str]) -> bytes:
    """Do some work.

    Args:
        work: to be done.
        folders: the models' names below Spark's folder for files of the job.
        settings: environment variables that say where S3 is and who asks.

    Returns:
        `Answered`, pickled, or a `BadInput`: raised, Spark would try again what cannot succeed.
    """
    os.environ.update(settings)
    try:
        return pickle.dumps(_answer(work, folders), pickle.HIGHEST_PROTOCOL)
    except BadInput as error:
        return pickle.dumps(error)


def _answer(work: Work, folders: Sequence[ModelFolder]) -> Answered:
    if not _models:
        from pyspark import SparkFiles

        found = [(SparkFiles.get(name), label) for name, label in folders]
        _models.extend(pool.load(found))
    if isinstance(work, list):
        return None, [pool.answers(_models, work)]
    if isinstance(work.table, ParquetTable):
        part = work.table.read(work.start, work.end)
    else:
        part = csv_parts.read(work.table, work.start, work.end)
    return part, [pool.answers(_models, chunk.texts) for chunk in part.chunks]
