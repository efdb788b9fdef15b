"""What flows through a batch job: chunks of products, and the rows that are none."""

from dataclasses import dataclass, field

import pyarrow as pa

NO_TEXT = "no text"
TOO_MANY_FIELDS = "too many fields"
UNDECODABLE = "cannot be decoded"
TOO_LONG = "longer than 1,048,576 characters"
NEVER_CLOSED = "a quote is never closed"

CHUNK_ROWS = 5_000
"""Enough to make the cost of passing a chunk to another process small."""

CHUNK_CHARACTERS = 4 << 20
"""A chunk ends here too, so that long texts do not make it large."""

KEPT_OF_A_BAD_ROW = 1_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be classified.

    Attributes:
        file: the address of its file.
        line: where it starts, the first line being 1; in Parquet, which row it is.
        reason: why.
        content: its beginning, as it was.
    """

    file: str
    line: int
    reason: str
    content: str


@dataclass(frozen=True)
class Chunk:
    """Some rows in a row, in the order of the file.

    Attributes:
        texts: the text of each product.
        columns: all that was read of each, as many rows as `texts`.
        bad: rows of this part of the file that are not in it.
        position: how far the file has been read, in bytes.
    """

    texts: list[str]
    columns: pa.RecordBatch
    bad: list[BadRow] = field(default_factory=list)
    position: int = 0


def is_decoded(text: str) -> bool:
    """Whether nothing in `text` stands for a byte that could not be decoded."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def excerpt(content: str) -> str:
    """The beginning of a bad row, safe to write anywhere."""
    shown = content[:KEPT_OF_A_BAD_ROW].rstrip("\r\n")
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
