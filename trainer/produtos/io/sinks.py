"""Where answers go: a CSV or Parquet file that is there in whole or not at all, or the screen."""

import csv
import io
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from produtos.errors import BadInput
from produtos.io.rows import LIKELY_CAUSES, UNDECODABLE, BadRow
from produtos.io.storage import ERRORS, Location, locate, s3, writable
from produtos.language import tr

DELIMITER = ";"
BAD_ROWS_COLUMNS = ("arquivo", "linha", "motivo", "conteudo")


Rows: TypeAlias = pa.RecordBatch | str
"""Some rows: of a CSV file what stands in it for them, of any other output a batch."""

Write: TypeAlias = Callable[[Any], object]
"""Takes some rows of an output, in order."""

Close: TypeAlias = Callable[[], object]

Output: TypeAlias = AbstractContextManager[Write]
"""Has all that was written after its block, and nothing of it where the block ends by an error."""


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as this project writes them: `;` between fields, a line feed after each row.

    Not as pyarrow does, which puts every text into quotes.
    """
    listed = list(rows)
    text = _csv_text(listed, "\n")
    # Python before 3.13 quotes of all line ends only those that it writes itself: a carriage
    # return in a field must not look like the end of the row.
    if "\r" in text:
        text = "".join(_csv_text([row], "\r\n")[:-2] + "\n" for row in listed)
    return text


def _csv_text(rows: Sequence[Sequence[object]], line_end: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=DELIMITER, lineterminator=line_end).writerows(rows)
    return text.getvalue()


@contextmanager
def whole_file(target: Location, opened: Callable[[Path], tuple[Write, Close]]) -> Iterator[Write]:
    """A file that gets its name when it is finished; one that was there is replaced.

    A local one is written beside its place, so that giving it its name is one step; one for S3 in
    the machine's folder for temporary files.

    Args:
        target: where it will be.
        opened: gives what writes to the unfinished file of a path, and what closes it.

    Raises:
        BadInput: nothing can be written there.
    """
    with writable(target.address):
        path = _unfinished(target)
        write_rows, close = opened(path)

    def write(rows: Rows) -> None:
        with writable(target.address):
            write_rows(rows)

    try:
        yield write
        with writable(target.address):
            close()
            if target.is_local:
                os.replace(path, target.path)
            else:
                with path.open("rb") as file:
                    s3().upload_fileobj(file, target.bucket, target.path)
    finally:
        with suppress(*ERRORS):
            close()
        path.unlink(missing_ok=True)


def _unfinished(target: Location) -> Path:
    """An empty file, in the place of the unfinished one."""
    if not target.is_local:
        s3().head_bucket(Bucket=target.bucket)
        handle, name = tempfile.mkstemp(prefix="batch-", suffix=".part")
        os.close(handle)
        return Path(name)
    final = Path(target.path)
    if final.is_dir():
        raise BadInput(
            "output {address}: this is a folder; name a file in it", address=target.address
        )
    path = final.with_name(f".{final.name}.{os.getpid()}.part")
    path.touch(exist_ok=False)
    return path


def csv_file(target: Location, names: Sequence[str], encoding: str = "utf-8") -> Output:
    """A CSV file."""

    def opened(path: Path) -> tuple[Write, Close]:
        file = path.open("w", encoding=encoding, newline="")
        file.write(csv_text([names]))
        return file.write, file.close

    return whole_file(target, opened)


def parquet_file(target: Location, schema: pa.Schema, made_by: dict[str, str]) -> Output:
    """A Parquet file; what made it stands in its metadata."""

    def opened(path: Path) -> tuple[Write, Close]:
        writer = pq.ParquetWriter(path, schema.with_metadata(made_by))
        return writer.write_batch, writer.close

    return whole_file(target, opened)


class BadRows(ExitStack):
    """The side file of rows that could not be classified; no such row, no such file.

    After a block that ends by an error nothing is left of it, unless `commit` came before.

    Args:
        address: where it goes.
        encoding: of the input, for what may have gone wrong.
        output_encoding: of the side file.

    Attributes:
        by_reason: how many there are.
    """

    def __init__(self, address: str, encoding: str, output_encoding: str) -> None:
        super().__init__()
        self.address = address
        self.by_reason: Counter[str] = Counter()
        self._encoding = encoding
        self._output_encoding = output_encoding
        self._write: Write | None = None

    @property
    def count(self) -> int:
        """All of them."""
        return self.by_reason.total()

    def likely_cause(self) -> str:
        """What most likely is behind all of them, when they share one reason; else nothing.

        A wrong encoding has many faces, so that it is said whatever else there is.
        """
        only = next(iter(self.by_reason)) if len(self.by_reason) == 1 else ""
        reason = UNDECODABLE if UNDECODABLE in self.by_reason else only
        return LIKELY_CAUSES.get(reason, "").format(encoding=self._encoding)

    def summary(self) -> str:
        """For the console: how many, why, and where they are listed."""
        rows = tr("1 row") if self.count == 1 else tr("{count:,} rows").format(count=self.count)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.by_reason.items())
        cause = self.likely_cause()
        return tr("{rows} left out ({reasons}), listed in {address}").format(
            rows=rows, reasons=reasons, address=self.address
        ) + (cause and f"; {cause}")

    def write(self, rows: Sequence[BadRow]) -> None:
        """Take some rows.

        Raises:
            BadInput: nothing can be written there.
        """
        if rows:
            self._list([(row.file, row.line, row.reason, row.content) for row in rows])
            self.by_reason.update(row.reason for row in rows)

    def _list(self, fields: Sequence[Sequence[object]]) -> None:
        if self._write is None:
            target = locate(self.address)
            self._write = self.enter_context(
                csv_file(target, BAD_ROWS_COLUMNS, self._output_encoding)
            )
        self._write(csv_text(fields))

    def commit(self) -> None:
        """Put the file in its place; one of an earlier job is replaced, or removed if local.

        Raises:
            BadInput: it cannot be put there.
        """
        if self.count > 1 and len(self.by_reason) == 1:
            cause = tr("likely cause: {likely_cause}").format(likely_cause=self.likely_cause())
            self._list([("", "", cause, "")])
        target = locate(self.address)
        if self._write is None and target.is_local:
            with suppress(OSError):
                Path(target.path).unlink(missing_ok=True)
        self.close()
