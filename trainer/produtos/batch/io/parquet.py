"""Tables in Parquet files, as chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from produtos.batch.io import columns
from produtos.batch.io.rows import CHUNK_ROWS, BadRow, Chunk, excerpt, why_bad
from produtos.batch.io.storage import Location, readable


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
                position = size * (first - 1 + batch.num_rows) // rows
                yield self._chunk(batch, first, position)
                first += batch.num_rows

    def _chunk(self, batch: pa.RecordBatch, first: int, position: int) -> Chunk:
        parts = [_strings_of(batch.column(index)) for index in self.text_columns]
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
        return Chunk(texts, good, bad, position)


def _strings_of(column: pa.Array) -> list[str]:
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
