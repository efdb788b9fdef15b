"""The products of a table that need not fit into memory: read in blocks, cleaned as they come."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from produtos.data.csv import Table, read_table
from produtos.data.dataset import Columns, Product, columns_of, product_of
from produtos.data.formats import decode
from produtos.data.seen import Seen, seen
from produtos.data.source import is_url, location
from produtos.data.summary import LINES_LISTED, REASONS, Summary
from produtos.errors import BadInput, without_secrets
from produtos.io import csv, formats, parquet
from produtos.io.csv import CsvTable
from produtos.io.parquet import ParquetTable, strings_of
from produtos.io.rows import NO_TEXT, TOO_MANY_FIELDS, BadRow, Chunk
from produtos.io.storage import Location, input_files, readable
from produtos.text import has_word

HEAD = 1 << 16
"""Bytes that a header is looked for in."""

LEFT_OUT = {NO_TEXT: "no_text", TOO_MANY_FIELDS: "misshapen"}
"""Bad rows that are left out as by `data.dataset`; any other ends the training."""


@dataclass(frozen=True)
class File:
    """A file of products.

    Attributes:
        table: its rows.
        columns: where they have the parts of a product.
        size: in bytes.
    """

    table: CsvTable | ParquetTable
    columns: Columns
    size: int


class Products:
    """The products of one or more files, each text once, in the files' order.

    Which texts have been there before is told by their hashes, which are on the disk.

    Attributes:
        where: the address of the file, the folder or the prefix.
        files: what is read.
        counts: how many products of each category there have been.
        position: how many bytes have been read.
    """

    def __init__(self, where: str, files: Sequence[File]) -> None:
        self.where = where
        self.files = files
        self.counts: Counter[str] = Counter()
        self.position = 0
        self._rows_read = 0
        self._without_words = 0
        self._left_out: Counter[str] = Counter()
        self._lines: dict[str, list[int | str]] = {}

    def again(self) -> Products:
        """The same, from the beginning."""
        return Products(self.where, self.files)

    def blocks(self) -> Iterator[list[Product]]:
        """All products, some thousands at a time; once.

        Raises:
            BadInput: a file cannot be read to its end, or has a row that is a mistake.
        """
        before = 0
        with seen() as texts:
            for file in self.files:
                for chunk in file.table.chunks():
                    self._rows_read += len(chunk.texts) + len(chunk.bad)
                    for bad in chunk.bad:
                        self._leave_out_bad(bad)
                    self.position = before + chunk.position
                    products = _products(chunk, file.columns)
                    yield [each for each in products if self._is_kept(each, texts)]
                before += file.size

    def _is_kept(self, product: Product, texts: Seen) -> bool:
        if not product.key:
            self._left_out["no_text"] += 1
        elif not product.category:
            self._left_out["no_category"] += 1
        elif (first := texts.add(product.key, product.category)) is not None:
            same = first == product.category
            self._left_out["repeated" if same else "conflicting"] += 1
        else:
            self.counts[product.category] += 1
            self._without_words += not has_word(product.text(include_name=True))
            return True
        return False

    def summary(self) -> Summary:
        """What there has been."""
        unused = (
            name for file in self.files for name in file.columns.unused(file.table.schema.names)
        )
        return Summary(
            where=self.where,
            digest="",
            rows_read=self._rows_read,
            counts=dict(sorted(self.counts.items())),
            left_out={
                reason: self._left_out[reason] for reason in REASONS if self._left_out[reason]
            },
            lines=self._lines,
            unused=tuple(dict.fromkeys(unused)),
            without_words=self._without_words,
        )

    def _leave_out_bad(self, row: BadRow) -> None:
        reason = LEFT_OUT.get(row.reason)
        if reason is None:
            raise BadInput(
                "dataset {file}: line {line}: {reason}; mend this row, or delete it",
                file=row.file,
                line=row.line,
                reason=row.reason,
            )
        self._left_out[reason] += 1
        lines = self._lines.setdefault(reason, [])
        if len(lines) < LINES_LISTED:
            lines.append(f"{row.file}:{row.line}" if len(self.files) > 1 else row.line)


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


def _open(file: Location) -> File:
    table: CsvTable | ParquetTable
    if file.is_parquet:
        table = parquet.open_table(file, None)
    else:
        try:
            # What is said here is what is said of a table that is read at once.
            columns_of(read_table(decode(_head(file))))
        except BadInput as error:
            raise BadInput("dataset {where}: {error}", where=file.address, error=error) from None
        table = csv.open_table(file, None, "utf-8")
    columns = columns_of(Table(table.schema.names, 1, iter(())))
    return File(table, columns, file.size())


def _head(file: Location) -> bytes:
    with readable(file.address), file.open() as raw:
        gzipped = file.path.lower().endswith(".gz")
        content = gzip.GzipFile(fileobj=raw).read(HEAD) if gzipped else raw.read(HEAD)
    content = content or b""
    whole_lines = max(content.rfind(b"\n"), content.rfind(b"\r")) + 1
    return content[:whole_lines] if len(content) == HEAD and whole_lines else content
