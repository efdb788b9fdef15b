"""Where answers go: a CSV or Parquet file that is there in whole or not at all, or the screen."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Protocol, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from produtos.batch.io.csv_writer import CsvWriter
from produtos.batch.io.storage import Location, copy_up, locate, writable
from produtos.batch.rows import BadRow, Rows
from produtos.errors import BadInput

BAD_ROW_COLUMNS = ("arquivo", "linha", "motivo", "conteudo")


class Sink(Protocol):
    """Takes rows, in order, then either `commit` or `abort`."""

    def write(self, rows: Rows) -> None:
        """Take some rows."""

    def commit(self) -> None:
        """Everything is there: let it be seen."""

    def abort(self) -> None:
        """Something went wrong: leave nothing behind."""


class UnfinishedFile:
    """A file that gets its name when it is finished.

    A local one is written beside its place, so that giving it its name is one step; one for S3 in
    the machine's folder for temporary files.

    Args:
        target: where it will be.

    Raises:
        BadInput: nothing can be written there.
    """

    def __init__(self, target: Location) -> None:
        self.target = target
        with writable(target.address):
            if target.is_local:
                place = Path(target.path)
                if place.is_dir():
                    raise BadInput(f"output {target.address}: this is a folder; name a file in it")
                self.path = place.with_name(f".{place.name}.{os.getpid()}.part")
                self.path.open("xb").close()
            else:
                handle, name = tempfile.mkstemp(prefix="batch-", suffix=".part")
                os.close(handle)
                self.path = Path(name)
                self._check_bucket()

    def _check_bucket(self) -> None:
        bucket = self.target.path.partition("/")[0]
        try:
            found = self.target.filesystem.get_file_info(bucket)
        except OSError:
            self.discard()
            raise
        if not found.is_file and found.type.name == "NotFound":
            self.discard()
            raise BadInput(f"output {self.target.address}: there is no bucket {bucket}")

    def publish(self) -> None:
        """Put the file, closed by now, in its place; one that was there is replaced.

        Raises:
            BadInput: it cannot be put there.
        """
        with writable(self.target.address):
            if self.target.is_local:
                os.replace(self.path, self.target.path)
            else:
                copy_up(self.path, self.target)
                self.discard()

    def discard(self) -> None:
        """Remove it, if it is still there."""
        self.path.unlink(missing_ok=True)


class CsvFile:
    """A CSV file, UTF-8, fields separated by `;`."""

    def __init__(self, target: Location, schema: pa.Schema) -> None:
        self._file = UnfinishedFile(target)
        self._address = target.address
        self._text = self._file.path.open("w", encoding="utf-8", newline="")
        self._rows = CsvRows(self._text, schema)

    def write(self, rows: Rows) -> None:
        """See `Sink`."""
        with writable(self._address):
            self._rows.write(rows)

    def commit(self) -> None:
        """See `Sink`."""
        with writable(self._address):
            self._text.close()
        self._file.publish()

    def abort(self) -> None:
        """See `Sink`."""
        with contextlib.suppress(OSError):
            self._text.close()
        self._file.discard()


class CsvRows:
    """CSV lines to an open file, the screen for one; they cannot be taken back."""

    def __init__(self, file: TextIO, schema: pa.Schema) -> None:
        self._writer = CsvWriter(file)
        self._writer.row(schema.names)

    def write(self, rows: Rows) -> None:
        """See `Sink`."""
        self._writer.rows(rows.values())

    def commit(self) -> None:
        """See `Sink`."""

    def abort(self) -> None:
        """See `Sink`."""


class ParquetFile:
    """A Parquet file; what made it stands in its metadata."""

    def __init__(self, target: Location, schema: pa.Schema, made_by: dict[str, str]) -> None:
        self._file = UnfinishedFile(target)
        self._address = target.address
        self._schema = schema.with_metadata(made_by)
        self._writer = pq.ParquetWriter(self._file.path, self._schema)

    def write(self, rows: Rows) -> None:
        """See `Sink`."""
        with writable(self._address):
            self._writer.write_batch(rows.batch())

    def commit(self) -> None:
        """See `Sink`."""
        with writable(self._address):
            self._writer.close()
        self._file.publish()

    def abort(self) -> None:
        """See `Sink`."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._file.discard()


class BadRows:
    """The side file of rows that could not be classified; no such row, no such file.

    Args:
        address: where it goes.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.count = 0
        self.by_reason: dict[str, int] = {}
        self._file: UnfinishedFile | None = None
        self._text: TextIO | None = None
        self._writer: CsvWriter | None = None

    def write(self, rows: list[BadRow]) -> None:
        """Take some rows.

        Raises:
            BadInput: nothing can be written there.
        """
        if not rows:
            return
        with writable(self.address):
            if self._file is None or self._writer is None:
                self._file = UnfinishedFile(locate(self.address))
                self._text = self._file.path.open("w", encoding="utf-8", newline="")
                self._writer = CsvWriter(self._text)
                self._writer.row(BAD_ROW_COLUMNS)
            self._writer.rows((row.file, row.line, row.reason, row.content) for row in rows)
        self.count += len(rows)
        for row in rows:
            self.by_reason[row.reason] = self.by_reason.get(row.reason, 0) + 1

    def commit(self) -> None:
        """Put the file in its place; one of an earlier job is replaced, or removed if local.

        Raises:
            BadInput: it cannot be put there.
        """
        if self._file is not None and self._text is not None:
            with writable(self.address):
                self._text.close()
            self._file.publish()
            return
        target = locate(self.address)
        if target.is_local:
            with contextlib.suppress(OSError):
                Path(target.path).unlink(missing_ok=True)

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._file is not None and self._text is not None:
            with contextlib.suppress(OSError):
                self._text.close()
            self._file.discard()
