"""Tables of products, whatever file they are in, as chunks."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from produtos.batch.io import columns, csv_rows, formats
from produtos.batch.io.blocks import LONGEST, Blocks
from produtos.batch.io.columns import TextColumns
from produtos.batch.io.storage import Location, readable
from produtos.batch.rows import (
    CHUNK_ROWS,
    NO_TEXT,
    TOO_MANY_FIELDS,
    UNDECODABLE,
    ArrowRows,
    BadRow,
    Chunk,
    TextRows,
    excerpt,
    is_decoded,
)
from produtos.data.csv import is_separator_line, without_empty_tail
from produtos.data.formats import LOOKED_AT
from produtos.errors import BadInput

TEXT = "texto"
"""The column's name when the input has none."""


class Table(Protocol):
    """A file whose header has been read."""

    @property
    def location(self) -> Location:
        """The file."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of every chunk."""

    @property
    def has_header(self) -> bool:
        """Whether it names its columns; else each line is the text of a product."""

    def chunks(self) -> Iterator[Chunk]:
        """The rows, in the file's order; a chunk may have bad rows only."""


def open_table(location: Location, *, text_column: str | None, encoding: str) -> Table:
    """Read as much of a file as tells its columns, and which of them hold the text.

    Args:
        location: a CSV file, gzipped when its name ends in `.gz`, or a Parquet file.
        text_column: the column to take, when the file does not call it by a known name.
        encoding: of a CSV file.

    Raises:
        BadInput: it cannot be read, or has no text in it.
    """
    with readable(location.address):
        if location.is_parquet:
            return _open_parquet(location, text_column)
        return _open_csv(location, text_column, encoding)


def of_texts(texts: Sequence[str]) -> Chunk:
    """Texts that are in no file, as a chunk."""
    return Chunk(list(texts), TextRows([[text] for text in texts], _strings([TEXT])))


@dataclass(frozen=True)
class CsvTable:
    """A CSV file.

    Attributes:
        location: the file.
        schema: its columns, all of them strings.
        text_columns: where the text is.
        delimiter: between fields; empty for a file without a header, where a line is a text.
        encoding: of the file.
        rows_above: how many rows are above those of products.
    """

    location: Location
    schema: pa.Schema
    text_columns: TextColumns
    delimiter: str
    encoding: str
    rows_above: int

    @property
    def has_header(self) -> bool:
        """Whether the first line names columns."""
        return bool(self.delimiter)

    def chunks(self) -> Iterator[Chunk]:
        """See `Table`.

        Raises:
            BadInput: the file cannot be read to its end.
        """
        with readable(self.location.address):
            raw, file = _open_text(self.location, self.encoding)
            with raw, file:
                for good, texts, bad in self._blocks(Blocks(file)):
                    # A block of short rows is too many of them for one chunk.
                    for place in range(0, max(len(good), 1), CHUNK_ROWS):
                        part = slice(place, place + CHUNK_ROWS)
                        rows = TextRows(good[part], self.schema)
                        yield Chunk(texts[part], rows, bad if place == 0 else [], raw.tell())

    def _blocks(self, blocks: Blocks) -> Iterator[tuple[list[list[str]], list[str], list[BadRow]]]:
        """Rows, texts and bad rows, block by block."""
        blocks.load()
        above = self._rows(blocks)
        for _ in range(self.rows_above):
            next(above, None)
        while True:
            text = blocks.rest()
            found = self._quick(text) if self.has_header and text else None
            if found:
                good, texts, lines = found
                blocks.skip_rest(lines)
                yield good, texts, []
            else:
                yield self._careful(blocks)
            if not blocks.load():
                return

    def _quick(self, text: str) -> tuple[list[list[str]], list[str], int] | None:
        """Rows, texts and number of lines of a block without any bad row, and only of such."""
        if len(text) > LONGEST or not is_decoded(text):
            return None
        found = csv_rows.quick(text, self.delimiter)
        if found is None:
            return None
        rows, lines = found
        if any(len(row) != len(self.schema.names) for row in rows):
            return None
        texts = list(map(self.text_columns.text, rows))
        return (rows, texts, lines) if all(map(str.strip, texts)) else None

    def _careful(self, blocks: Blocks) -> tuple[list[list[str]], list[str], list[BadRow]]:
        rows = self._rows(blocks)
        width = len(self.schema.names)
        good: list[list[str]] = []
        texts: list[str] = []
        bad: list[BadRow] = []
        for number, fields, lines in rows:
            reason, text = self._read(fields, lines, width)
            if isinstance(fields, str) or reason:
                bad.append(BadRow(self.location.address, number, reason, excerpt(lines)))
            else:
                good.append(fields)
                texts.append(text)
        return good, texts, bad

    def _rows(self, blocks: Blocks) -> Iterator[csv_rows.Row]:
        if self.has_header:
            return csv_rows.careful(blocks, self.delimiter)
        return csv_rows.whole_lines(blocks)

    def _read(self, fields: list[str] | str, lines: str, width: int) -> tuple[str, str]:
        """Why a row is bad, or nothing, and its text; missing fields are filled up."""
        if isinstance(fields, str):
            return fields, ""
        if not is_decoded(lines):
            return UNDECODABLE, ""
        del fields[len(without_empty_tail(fields, width)) :]
        if len(fields) > width:
            return TOO_MANY_FIELDS, ""
        if len(fields) < width:
            fields += [""] * (width - len(fields))
        text = self.text_columns.text(fields)
        return ("", text) if text.strip() else (NO_TEXT, "")


def _open_text(location: Location, encoding: str) -> tuple[pa.NativeFile, io.TextIOWrapper]:
    """The file, for its position in bytes, and its text."""
    raw = location.filesystem.open_input_file(location.path)
    stream = pa.CompressedInputStream(raw, "gzip") if location.path.endswith(".gz") else raw
    # surrogateescape: a byte that cannot be decoded spoils its row, not the file.
    text = io.TextIOWrapper(
        io.BufferedReader(stream, 1 << 20), encoding, errors="surrogateescape", newline=""
    )
    return raw, text


def _first_bytes(file: io.TextIOWrapper) -> bytes:
    """What the file begins with; nothing of it has been read afterwards."""
    buffer: Any = file.buffer
    return bytes(buffer.peek(LOOKED_AT)[:LOOKED_AT])


def _open_csv(location: Location, text_column: str | None, encoding: str) -> CsvTable:
    try:
        # Python has more under these names than encodings of text.
        b" ".decode(encoding, "replace")
    except (LookupError, UnicodeError):
        raise BadInput(f"there is no encoding {encoding}; try utf-8 or cp1252") from None
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    raw, file = _open_text(location, encoding)
    with raw, file:
        formats.check_first_bytes(_first_bytes(file), encoding, location.address)
        first = _line_with_text(file)
        rows_above = 0
        if is_separator_line(first):
            first = _line_with_text(file)
            rows_above = 1
    if not first:
        raise BadInput(f"input {location.address}: empty; there is nothing to classify")
    headers = list(csv_rows.header_of(first))
    for delimiter, fields in headers:
        found = columns.find(fields, text_column)
        if found:
            names = [field.strip() for field in fields]
            columns.check_names(names, location.address)
            return CsvTable(location, _strings(names), found, delimiter, encoding, rows_above + 1)
    if text_column:
        raise columns.no_text_column(headers[0][1], text_column, location.address)
    return CsvTable(location, _strings([TEXT]), TextColumns((0,)), "", encoding, rows_above)


def _line_with_text(file: io.TextIOWrapper) -> str:
    line = file.readline(LONGEST)
    while line and not line.strip():
        line = file.readline(LONGEST)
    return line


def _strings(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file.

    Attributes:
        location: the file.
        schema: its columns.
        text_columns: where the text is.
    """

    location: Location
    schema: pa.Schema
    text_columns: TextColumns
    has_header = True

    def chunks(self) -> Iterator[Chunk]:
        """See `Table`.

        Raises:
            BadInput: the file cannot be read to its end.
        """
        location = self.location
        with readable(location.address), location.filesystem.open_input_file(location.path) as raw:
            first = 1
            size = raw.size()
            file = pq.ParquetFile(raw, pre_buffer=False)
            rows = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                position = size * (first - 1 + batch.num_rows) // rows
                yield self._chunk(batch, first, position)
                first += batch.num_rows

    def _chunk(self, batch: pa.RecordBatch, first: int, position: int) -> Chunk:
        parts = [_strings_of(batch.column(place)) for place in self.text_columns.places]
        texts: list[str] = []
        bad: list[BadRow] = []
        kept: list[int] = []
        for row, fields in enumerate(zip(*parts, strict=True)):
            text = fields[0] if len(fields) == 1 else " ".join(filter(None, fields))
            reason = "" if text.strip() else NO_TEXT
            if not is_decoded(text):
                reason = UNDECODABLE
            if reason:
                bad.append(BadRow(self.location.address, first + row, reason, excerpt(text)))
            else:
                texts.append(text)
                kept.append(row)
        good = batch.take(pa.array(kept, pa.int64())) if bad else batch
        return Chunk(texts, ArrowRows(good), bad, position)


def _strings_of(column: pa.Array) -> list[str]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = column.cast(pa.large_binary()).to_pylist()
    return [_string(value) for value in values]


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(value)


def _open_parquet(location: Location, text_column: str | None) -> ParquetTable:
    with location.filesystem.open_input_file(location.path) as raw:
        schema = pq.ParquetFile(raw).schema_arrow.remove_metadata()
    columns.check_names(schema.names, location.address)
    found = columns.find(schema.names, text_column)
    if found is None and text_column is None and len(schema.names) == 1:
        found = TextColumns((0,))
    if found is None:
        raise columns.no_text_column(schema.names, text_column, location.address)
    return ParquetTable(location, schema, found)
