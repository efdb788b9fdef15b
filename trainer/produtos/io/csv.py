"""Tables of products in CSV files, as chunks."""

import codecs
import csv
import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import TextIO

import pyarrow as pa

from produtos.data.columns import KNOWN_COLUMNS, SEPARATORS
from produtos.data.csv import (
    MARK,
    first_lines,
    header_of,
    in_one_line,
    unquoted,
    without_empty_tail,
)
from produtos.data.formats import LOOKED_AT, encoded_twice
from produtos.errors import BadInput
from produtos.io import columns, csv_rows, formats, rows
from produtos.io.csv_parts import IN_PARTS, Below, line_ends, line_start
from produtos.io.csv_rows import LONGEST, Lines, Readline
from produtos.io.storage import Location, readable
from produtos.language import tr
from produtos.product_model.columns import fold

TEXT = "texto"
"""The column's name when the input has none."""

BLOCK = 1 << 19
"""Characters."""

PART = 2 << 20
"""Bytes. A second or two of work: much more than Spark needs to hand it out."""


@dataclass(frozen=True)
class CsvTable:
    """A CSV file.

    Attributes:
        location: the file.
        schema: its columns, all of them strings.
        text_columns: where the text is.
        separator: between fields; empty for a file without a header, where a line is a text.
        encoding: of the file.
        lines_above: how many lines are above those of products.
    """

    location: Location
    schema: pa.Schema
    text_columns: list[int]
    separator: str
    encoding: str
    lines_above: int

    @property
    def has_header(self) -> bool:
        """Whether the file names its columns; else each line is the text of a product."""
        return bool(self.separator)

    @cached_property
    def _folded_names(self) -> list[str]:
        return sorted(map(fold, self.schema.names))

    def chunks(self) -> Iterator[rows.Chunk]:
        """The rows, in the file's order; a chunk may have bad rows only.

        Raises:
            BadInput: the file cannot be read to its end.
        """
        with readable(self.location.address), self.location.open() as raw:
            file = _text_of(raw, self.location, self.encoding)
            for _ in range(self.lines_above):
                file.readline(LONGEST)
            yield from self.chunks_of(file, file, self.lines_above + 1, raw.tell)

    def parts(self) -> Iterator[tuple[int, int]]:
        """Bytes that can be read by themselves; none where lines depend on what is above them."""
        name = codecs.lookup(self.encoding).name
        if name.startswith(IN_PARTS) and not self.location.is_gzipped:
            size = self.location.size()
            for start in range(0, size, PART):
                yield start, min(start + PART, size)

    def read(self, start: int, end: int) -> rows.Part[rows.Chunk]:
        """The rows that begin in some bytes of a file that has `parts`.

        Args:
            start: of the bytes; in the middle of a line, the next line is the first.
            end: the byte after the last.

        Raises:
            BadInput: the file cannot be read.
        """
        with readable(self.location.address), self.location.open() as raw:
            first, last = line_start(raw, start), line_start(raw, end)
            raw.seek(first)
            # Reads on where the file itself gives less than it was asked for.
            buffered = io.BufferedReader(raw)
            content = buffered.read(last - first)
            # A mark is one at the beginning of the file only.
            inside = codecs.lookup(self.encoding).name.removesuffix("-sig")
            text = content.decode(inside if first else self.encoding, "surrogateescape")
            part = io.StringIO(text, newline="")
            file = io.TextIOWrapper(buffered, inside, "surrogateescape", newline="")
            below = Below(part, file)
            number = 1
            for _ in range(self.lines_above if first == 0 else 0):
                below.readline(LONGEST)
                number += 1
            chunks = list(self.chunks_of(part, below, number, lambda: 0))
            return rows.Part(first, last + below.size, line_ends(text) + below.lines, chunks)

    def chunks_of(
        self, file: TextIO, below: Readline, number: int, position: Callable[[], int]
    ) -> Iterator[rows.Chunk]:
        """The rows of an open file.

        Args:
            file: at the beginning of a row.
            below: the same, or what has the lines below it, for a row that is unfinished there.
            number: of the first line.
            position: says how far the file has been read.
        """
        before = 0
        while text := file.read(BLOCK) + file.readline(LONGEST):
            bad: list[rows.BadRow] = []
            parsed = self._quick(text) if self.has_header else None
            if parsed:
                good, texts, lines = parsed
                number += lines
            else:
                block = Lines(text, below, number)
                good, texts, bad = self._careful(block)
                number = block.number
            # A block of short rows is too many of them for one chunk.
            for start in range(0, max(len(good), 1), rows.CHUNK_ROWS):
                part = slice(start, start + rows.CHUNK_ROWS)
                batch = rows.batch_of(good[part], self.schema)
                size, before = position() - before, position()
                yield rows.Chunk(texts[part], batch, [] if start else bad, size)

    def _quick(self, text: str) -> tuple[list[list[str]], list[str], int] | None:
        """Rows, texts and number of lines of a block without any bad row, and only of such."""
        if len(text) > LONGEST or not rows.is_decoded(text) or encoded_twice(text):
            return None
        parsed = csv_rows.quick(text, self.separator)
        if parsed is None:
            return None
        good, lines = parsed
        width = len(self.schema.names)
        index = self.text_columns[0]
        # The lengths first: folding takes longer than reading a row does.
        short = max(map(len, self.schema.names)) + 2
        if any(
            len(row) != width or (len(row[index]) <= short and self._is_header(row)) for row in good
        ):
            return None
        texts = self._texts(good)
        return (good, texts, lines) if all(map(str.strip, texts)) else None

    def _careful(self, lines: Lines) -> tuple[list[list[str]], list[str], list[rows.BadRow]]:
        good: list[list[str]] = []
        texts: list[str] = []
        bad: list[rows.BadRow] = []
        file = self.location.address
        for number, fields, content in csv_rows.careful(lines, self.separator):
            reason, row, text = self._read(fields, content)
            if reason:
                bad.append(rows.BadRow(file, number, reason, rows.excerpt(content)))
            else:
                good.append(row)
                texts.append(text)
        return good, texts, bad

    def _read(self, fields: list[str] | str, content: str) -> tuple[str, list[str], str]:
        """Why a row is bad, or nothing; its fields, missing ones filled up; its text."""
        if isinstance(fields, str):
            return fields, [], ""
        if not rows.is_decoded(content):
            return rows.UNDECODABLE, [], ""
        width = len(self.schema.names)
        if self.has_header:
            fields = unquoted(fields, self.separator, width)
        row = list(without_empty_tail(fields, width))
        if len(row) > width:
            return rows.TOO_MANY_FIELDS, [], ""
        row += [""] * (width - len(row))
        if self.has_header and self._is_header(row):
            return rows.HEADER_AGAIN, [], ""
        (text,) = self._texts([row])
        return rows.why_bad(text), row, text

    def _texts(self, found: list[list[str]]) -> list[str]:
        return columns.texts_of([list(map(itemgetter(each), found)) for each in self.text_columns])

    def _is_header(self, row: list[str]) -> bool:
        # In any order: files that were joined may have had their columns in another.
        names = self._folded_names
        return fold(row[0]) in names and sorted(map(fold, row)) == names


def _text_of(raw: io.RawIOBase, location: Location, encoding: str) -> io.TextIOWrapper:
    stream = io.BufferedReader(raw, 4 << 20)
    if location.is_gzipped:
        stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), 1 << 20)  # type: ignore[arg-type]
    formats.check_first_bytes(stream.peek(LOOKED_AT)[:LOOKED_AT], encoding, location.address)
    # surrogateescape: a byte that cannot be decoded spoils its row, not the file.
    return io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")


def open_table(location: Location, text_column: str | None, encoding: str) -> CsvTable:
    """Read as much of a file as tells its columns, and which of them hold the text.

    Args:
        location: the file, gzipped when its name ends in `.gz`.
        text_column: the column to take, when the file does not call it by a known name.
        encoding: of the file.

    Raises:
        BadInput: it cannot be read, or is no table, or has no text in it.
    """
    try:
        # Python has more under these names than encodings of text.
        b" ".decode(encoding, "replace")
    except (LookupError, UnicodeError):
        raise BadInput(
            "there is no encoding {encoding}; try utf-8 or cp1252", encoding=encoding
        ) from None
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    with readable(location.address), location.open() as raw:
        text = _text_of(raw, location, encoding)
        lines = first_lines(iter(lambda: text.readline(LONGEST), ""))
    where = tr("input {address}").format(address=location.address)
    if not lines:
        raise BadInput("{where}: empty; there is nothing to classify", where=where)
    number, first = lines[0]
    place = tr("{where}, line {number}").format(where=where, number=number)
    named = [text_column] if text_column else []
    header = header_of(lines, named)
    shown = "".join(header[1]) if header else first
    if not rows.is_decoded(shown) and (header or header_of([(number, _in_windows(first))], named)):
        raise BadInput(
            "{place}: the names of the columns are not {encoding}; say --encoding with the file's "
            "own, such as cp1252, or save it as UTF-8",
            place=place,
            encoding=encoding.removesuffix("-sig"),
        )
    if header:
        separator, names, last = header
        names = _tidy(names)
        found = columns.find(names, text_column, place)
        return CsvTable(location, rows.strings(names), found, separator, encoding, last)
    if text_column:
        cuts = [next(csv.reader([first], delimiter=each), []) for each in SEPARATORS]
        columns.find(max(cuts, key=len), text_column, place)
    for below, line in lines[1:]:
        _, names, _ = header_of([(below, line)]) or ("", [], 0)
        if len(set(KNOWN_COLUMNS) & set(map(fold, names))) > 1:
            raise BadInput(
                "{where}: the header is in line {below}, below others; delete the lines above it",
                where=where,
                below=below,
            )
    return CsvTable(location, rows.strings([TEXT]), [0], "", encoding, number - 1)


def _in_windows(line: str) -> str:
    """A line with bytes that could not be decoded, as Windows-1252 has them."""
    return line.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def _tidy(names: list[str]) -> list[str]:
    """Names in one line, without blanks and marks around them; none of empty columns at the end."""
    bare = [in_one_line(name).strip(f" \t\xa0{MARK}") for name in names]
    return list(without_empty_tail(bare, max(i for i, name in enumerate(bare, 1) if name)))
