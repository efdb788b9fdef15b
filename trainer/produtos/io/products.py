"""The products of a table that need not fit into memory: read in blocks, cleaned as they come."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence

from produtos.data.csv import Table, read_table
from produtos.data.dataset import Columns, Product, columns_of, is_kept, product_of
from produtos.data.formats import decode
from produtos.data.seen import seen
from produtos.data.source import is_url, location
from produtos.data.summary import Summary
from produtos.errors import BadInput, without_secrets
from produtos.io import csv, formats, parquet
from produtos.io.csv import CsvTable
from produtos.io.parquet import ParquetTable, strings_of
from produtos.io.rows import NO_TEXT, TOO_MANY_FIELDS, BadRow, Chunk
from produtos.io.storage import Location, input_files, readable

HEAD = 1 << 16
"""Bytes that a header is looked for in."""

LEFT_OUT = {NO_TEXT: "no_text", TOO_MANY_FIELDS: "misshapen"}
"""Bad rows that are left out as by `data.dataset`; any other ends the training."""


class Products:
    """The products of one or more files, each text once, in the files' order.

    Which texts have been there before is told by their hashes, which are on the disk.

    Attributes:
        where: the address of the file, the folder or the prefix.
        size: of all files, in bytes.
        position: how many bytes have been read.
        summary: what there has been.
    """

    def __init__(self, where: str, tables: Sequence[CsvTable | ParquetTable]) -> None:
        self.where = where
        self.size = sum(table.location.size() for table in tables)
        self.position = 0
        self._tables = [(table, columns_of(_header(table))) for table in tables]
        unused = (name for table, each in self._tables for name in each.unused(table.schema.names))
        self.summary = Summary(where, unused=tuple(dict.fromkeys(unused)))

    def again(self) -> Products:
        """The same, from the beginning."""
        return Products(self.where, [table for table, _ in self._tables])

    def blocks(self) -> Iterator[list[Product]]:
        """All products, some thousands at a time; once.

        Raises:
            BadInput: a file cannot be read to its end, or has a row that is a mistake.
        """
        with seen() as texts:
            for table, columns in self._tables:
                for chunk in table.chunks():
                    for bad in chunk.bad:
                        self._leave_out(bad)
                    self.position += chunk.size
                    yield [
                        product
                        for product in _products(chunk, columns)
                        if is_kept(product, None, self.summary, texts.add)
                    ]

    def _leave_out(self, row: BadRow) -> None:
        reason = LEFT_OUT.get(row.reason)
        if reason is None:
            raise BadInput(
                "dataset {file}: line {line}: {reason}; mend this row, or delete it",
                file=row.file,
                line=row.line,
                reason=row.reason,
            )
        line = f"{row.file}:{row.line}" if len(self._tables) > 1 else row.line
        self.summary.leave_out(reason, line)


def _products(chunk: Chunk, columns: Columns) -> list[Product]:
    nothing = [""] * len(chunk.texts)
    fields = (
        nothing if index is None else strings_of(chunk.rows.column(index)) for index in columns
    )
    return [product_of(*row) for row in zip(*fields, strict=True)]


def open_products(source: str) -> Products:
    """Look at every file of a data set before any is read.

    Args:
        source: a path of a CSV or Parquet file, or of a folder of them, or `s3://bucket/key`.

    Raises:
        BadInput: there is none, or one that is no table of products.
    """
    if is_url(source):
        raise BadInput(
            "dataset {source}: what is read in blocks is a path or an s3:// address; fetch "
            "the file first",
            source=without_secrets(source),
        )
    where = source if source.startswith("s3://") else location(source)
    files = input_files(where)
    for file in files:
        formats.check_name(file.path, file.address)
    return Products(where, [_open(file) for file in files])


def _open(file: Location) -> CsvTable | ParquetTable:
    table = parquet.open_table(file, None) if file.is_parquet else None
    try:
        # What is said here is what is said of a table that is read at once.
        columns_of(_header(table) if table else read_table(decode(_head(file))))
    except BadInput as error:
        raise BadInput("dataset {where}: {error}", where=file.address, error=error) from None
    return table or csv.open_table(file, None, "utf-8")


def _header(table: CsvTable | ParquetTable) -> Table:
    return Table(table.schema.names, 1, iter([(2, [])]))


def _head(file: Location) -> bytes:
    with readable(file.address), file.open() as raw:
        content = gzip.GzipFile(fileobj=raw).read(HEAD) if file.is_gzipped else raw.read(HEAD)
    content = content or b""
    whole_lines = max(content.rfind(b"\n"), content.rfind(b"\r")) + 1
    return content[:whole_lines] if len(content) == HEAD and whole_lines else content
