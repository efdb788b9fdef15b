"""Tables in Parquet files, as chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from produtos.io import columns
from produtos.io.rows import CHUNK_ROWS, BadRow, Chunk, Part, excerpt, why_bad
from produtos.io.storage import Location, readable

PART = 20_000
"""Rows that are read at a time on another machine."""


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file.

    Attributes:
        location: the file.
        schema: its columns.
        text_columns: where the text is.
        has_header: it always names its columns.
    """

    location: Location
    schema: pa.Schema
    text_columns: list[int]
    has_header = True

    def chunks(self) -> Iterator[Chunk]:
        """The rows, in the file's order; a chunk may have bad rows only.

        Raises:
            BadInput: the file cannot be read to its end.
        """
        with readable(self.location.address), self.location.open() as raw:
            first = 1
            size = self.location.size()
            file = pq.ParquetFile(raw, pre_buffer=False)
            rows = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                yield self._chunk(batch, first, size * batch.num_rows // rows)
                first += batch.num_rows

    def parts(self) -> Iterator[tuple[int, int]]:
        """Rows that can be read by themselves: where they begin and end.

        Raises:
            BadInput: the file cannot be read.
        """
        with readable(self.location.address), self.location.open() as raw:
            for first, end in _groups(pq.ParquetFile(raw).metadata):
                for start in range(first, end, PART):
                    yield start, min(start + PART, end)

    def read(self, start: int, end: int) -> Part[Chunk]:
        """The rows of a part.

        Raises:
            BadInput: the file cannot be read.
        """
        chunks = []
        with readable(self.location.address), self.location.open() as raw:
            file = pq.ParquetFile(raw, pre_buffer=False)
            groups = list(_groups(file.metadata))
            group = next(n for n, (first, after) in enumerate(groups) if first <= start < after)
            row = groups[group][0]
            for batch in file.iter_batches(batch_size=CHUNK_ROWS, row_groups=[group]):
                if row >= end:
                    break
                first, after = max(start - row, 0), min(end - row, batch.num_rows)
                if first < after:
                    wanted = batch.slice(first, after - first)
                    chunks.append(self._chunk(wanted, row + first - start + 1, 0))
                row += batch.num_rows
        return Part(start, end, end - start, chunks)

    def _chunk(self, batch: pa.RecordBatch, first: int, size: int) -> Chunk:
        parts = [strings_of(batch.column(index)) for index in self.text_columns]
        texts: list[str] = []
        bad: list[BadRow] = []
        kept: list[int] = []
        for row, text in enumerate(columns.texts_of(parts)):
            if reason := why_bad(text):
                bad.append(BadRow(self.location.address, first + row, reason, excerpt(text)))
            else:
                texts.append(text)
                kept.append(row)
        good = batch.take(pa.array(kept, pa.int64())) if bad else batch
        return Chunk(texts, good, bad, size)


def _groups(metadata: pq.FileMetaData) -> Iterator[tuple[int, int]]:
    """The first row of each row group, the file's first being 0, and the one below its last."""
    first = 0
    for number in range(metadata.num_row_groups):
        rows = metadata.row_group(number).num_rows
        yield first, first + rows
        first += rows


def strings_of(column: pa.Array) -> list[str]:
    """A column's values as they are written, nothing where there is none."""
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = column.cast(pa.large_binary()).to_pylist()
    return [_string(value) for value in values]


def _string(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def open_table(location: Location, text_column: str | None) -> ParquetTable:
    """Read a file's columns, and which of them hold the text.

    Raises:
        BadInput: it cannot be read, or has no text in it.
    """
    with readable(location.address), location.open() as raw:
        schema = pq.ParquetFile(raw).schema_arrow.remove_metadata()
    if text_column is None and len(schema.names) == 1:
        text_column = schema.names[0]
    found = columns.find(schema.names, text_column, f"input {location.address}")
    return ParquetTable(location, schema, found)
