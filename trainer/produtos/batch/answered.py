"""Rows with their answers, in the form that the output takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from produtos.io.rows import BadRow, Chunk
from produtos.io.sinks import Rows, csv_text


@dataclass(frozen=True)
class Answered:
    """Some rows in a row, in the order of the input.

    Attributes:
        rows: with their answers.
        count: how many they are.
        bad: rows of this part of the input that are not among them.
        size: how many bytes of the input were read for them.
        compared: where two models answer, the texts and the answers of each.
    """

    rows: Rows
    count: int
    bad: Sequence[BadRow]
    size: int
    compared: tuple[list[str], ...] = ()


@dataclass(frozen=True)
class Form:
    """What the output takes: whoever answers makes it, which may be on another machine.

    Attributes:
        schema: of the rows with their answers.
        as_text: whether it is a CSV file.
    """

    schema: pa.Schema
    as_text: bool

    def of(self, chunk: Chunk, answers: Sequence[list[str]]) -> Answered:
        """A chunk and, for each model, its answers."""
        columns = [pa.array(column, pa.string()) for column in answers]
        rows = pa.RecordBatch.from_arrays([*chunk.rows.columns, *columns], schema=self.schema)
        compared = (chunk.texts, *answers) if len(answers) == 2 else ()
        form = csv_text(rows) if self.as_text else rows
        return Answered(form, len(chunk.texts), chunk.bad, chunk.size, compared)
