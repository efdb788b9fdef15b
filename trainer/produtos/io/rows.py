"""What flows through a batch job: chunks of products, and the rows that are none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Generic, TypeVar

import pyarrow as pa

from produtos.data.formats import encoded_twice
from produtos.language import tr

NO_TEXT = tr("no text")
TOO_MANY_FIELDS = tr("too many fields")
UNDECODABLE = tr("cannot be decoded")
ENCODED_TWICE = tr("encoded twice")
TOO_LONG = tr("longer than 1,048,576 characters")
NEVER_CLOSED = tr("a quote is never closed")
HEADER_AGAIN = tr("the header again")

LIKELY_CAUSES = {
    NO_TEXT: tr("the text is in another column; --text-column names it"),
    TOO_MANY_FIELDS: tr("texts with a separator in them are not in quotes"),
    UNDECODABLE: tr("if it is not {encoding}, --encoding names another, such as cp1252"),
    ENCODED_TWICE: tr(
        "UTF-8 was read as another encoding and saved again; save the original again"
    ),
    TOO_LONG: tr("the line ends were lost"),
    NEVER_CLOSED: tr("quotes inside of texts are not doubled"),
    HEADER_AGAIN: tr("files were joined with their headers"),
}
"""For each reason why a row is bad, what to look at when it is that of all of them."""

Some = TypeVar("Some")

CHUNK_ROWS = 5_000
"""Enough to make the cost of passing a chunk to another process small."""

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
        rows: all that was read of each, as many as `texts`.
        bad: rows of this part of the file that are not among them.
        size: how many bytes of the file were read for them.
    """

    texts: list[str]
    rows: pa.RecordBatch
    bad: list[BadRow] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True)
class Part(Generic[Some]):
    """What was read of a part of a file, or what was made of it.

    Attributes:
        start: where its first row began: a byte, or the number of a row in Parquet.
        end: where the first row below it begins.
        lines: how many lines there are from `start` to `end`.
        chunks: the rows; lines of bad ones are counted from the part's first line, which is 1.
    """

    start: int
    end: int
    lines: int
    chunks: list[Some]


def strings(names: Sequence[str]) -> pa.Schema:
    """Columns of strings."""
    return pa.schema([(name, pa.string()) for name in names])


def batch_of(rows: Sequence[Sequence[str]], schema: pa.Schema) -> pa.RecordBatch:
    """Rows of strings, column by column."""
    columns = [list(map(itemgetter(index), rows)) for index in range(len(schema))]
    return pa.RecordBatch.from_arrays(
        [pa.array(each, pa.string()) for each in columns], schema=schema
    )


def is_decoded(text: str) -> bool:
    """Whether nothing in `text` stands for a byte that could not be decoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def why_bad(text: str) -> str:
    """Why a product's text cannot be classified; empty if it can."""
    if not is_decoded(text):
        return UNDECODABLE
    if not text.strip():
        return NO_TEXT
    return ENCODED_TWICE if encoded_twice(text) else ""


def excerpt(content: str) -> str:
    """The beginning of a bad row, safe to write anywhere."""
    shown = content[:KEPT_OF_A_BAD_ROW].rstrip("\r\n")
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
