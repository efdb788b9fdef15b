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
        if self.as_text:
            columns = [column.to_pylist() for column in chunk.rows.columns]
            rows: Rows = csv_text(zip(*columns, *answers, strict=True))
        else:
            arrays = [pa.array(column, pa.string()) for column in answers]
            rows = pa.RecordBatch.from_arrays([*chunk.rows.columns, *arrays], schema=self.schema)
        compared = (chunk.texts, *answers) if len(answers) == 2 else ()
        return Answered(rows, len(chunk.texts), chunk.bad, chunk.size, compared)
