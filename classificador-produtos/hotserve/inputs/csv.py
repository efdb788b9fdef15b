"""text/csv as products: one prediction for each product (docs/hotserve.md, "text/csv")."""

import csv
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hotserve.inputs.bodies import LINE_END, CsvError, decode, line_number
from hotserve.inputs.columns import (
    KNOWN_COLUMNS,
    ColumnsError,
    fold,
    known,
    shown,
    text_columns,
    text_of,
)

# The size of a body is limited elsewhere; one field may be all of it.
csv.field_size_limit(sys.maxsize)

SEPARATORS = ";,\t|"
_NO_SEPARATOR = "\ud800"
"""With one column a comma is part of the text: half of a surrogate pair is in none."""
_MARK = "\ufeff"
_EDGES = f"{_MARK} "
_PADDING = 3
"""Blanks and marks that may stand around a name where a header is repeated."""
_BLANK = re.compile(rf"[\s{_MARK}]*")
_BLANK_LINES = re.compile(rf"[\s{_MARK}]*[\r\n{_MARK}]")
_SEPARATOR_LINE = re.compile(r'\s*"?sep=.?"?[;,\t| ]*(?:\r\n|\n|\r|\Z)', re.IGNORECASE)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_SEVERAL_LINES = re.compile(r'(?:[^"\r\n]|"[^"]*")*+(?:\r\n|\n|\r|\Z)')
"""A line, with those below it into which a name in quotes goes on."""
_LINE_ENDS = re.compile(r"[\r\n]+")
_LEFT = "\x1a\0"
"""At a file's end: Ctrl-Z was the end of a text in DOS, zeros are of blocks never written."""
_END, _END_READ = '"."', ["."]
"""A line behind the last one. The csv module does not tell that a quote was still open at the end;
this line comes out as a row of its own only if none was."""
_PIECE = 1 << 16
_LONGEST_HEADER = 10_000
_MOST_FIELDS = 1 << 20
"""In a line. Each field is an object, so a line of nothing but commas would take many times its
size."""
_REPORT = 4_000
"""Characters among which a header is looked for below lines that are none of the table."""
_BEGINNINGS_OF_NAMES = tuple(name[:6] for name in KNOWN_COLUMNS)
"""What a line that may be a header is quickly known by: accents stand further behind."""

_EMPTY = "the body is empty; send one product a line"
_NO_ROWS = "the table has a header and no rows with a text; send one product a line below it"
_NEVER_CLOSED = (
    "line {}: a double quote opens a field and is never closed; "
    "put a text that has quotes in it in double quotes, and write each of its own twice"
)
_LINE_ENDS_LOST = (
    "the body is one line that names columns ({}), without a row; `curl -d` takes line ends away: "
    "use --data-binary"
)


@dataclass(frozen=True, slots=True)
class Products:
    """Products as sent.

    Attributes:
        columns: those of the header that make the text, as the model or `columns` writes them;
            empty where there was no header.
        rows: a row for each product, as long as `columns`; without columns, the text alone.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def texts(self) -> list[str]:
        """The text of each product."""
        if len(self.columns) < 2:
            return [text for (text,) in self.rows]
        return list(map(text_of, self.rows))


@dataclass(frozen=True, slots=True)
class _Header:
    """A header, and how the rows below it are read.

    Attributes:
        line: where it begins.
        last_line: where it ends.
        stop: the position behind it.
        bare: its names as they are compared with a row, in order of letters.
    """

    line: int
    last_line: int
    stop: int
    names: tuple[str, ...]
    bare: list[str]
    separator: str
    indexes: dict[str, int]

    def rows(self, read: list[list[str]], line: int) -> list[list[str]]:
        """The text's columns of rows as read, the first of which begins at a line.

        Raises:
            CsvError: one has too many fields, or is the header once more.
        """
        width = len(self.names)
        # Most texts are longer than the name of a column, and need no closer look.
        short = max(map(len, self.names)) + _PADDING
        fitted = {}
        for at, fields in enumerate(read):
            if len(fields) != width or len(fields[0]) <= short:
                try:
                    fitted[at] = self._fitted(fields)
                except CsvError as error:
                    raise CsvError(f"line {_line_below(read[:at], line)} {error}") from None
        for at, fields in fitted.items():
            read[at] = fields
        wanted = [*self.indexes.values()]
        if wanted == [*range(width)]:
            return read
        return [[fields[at] for at in wanted] for fields in read]

    def _fitted(self, fields: list[str]) -> list[str]:
        width = len(self.names)
        if len(fields) != width:
            if len(fields) == 1 and self.separator in fields[0]:
                fields = _whole_line_in_quotes(fields, self.separator, width)
            if len(fields) > width and any(map(str.strip, fields[width:])):
                raise CsvError(
                    f"has {len(fields)} fields and the header {width}; "
                    f"put a text that has a '{self.separator}' in it in double quotes"
                )
            fields = (fields + [""] * width)[:width]
        # In any order: files that were joined may have had their columns in another.
        if _bare(fields[0]) in self.bare and sorted(map(_bare, fields)) == self.bare:
            raise CsvError("is the header again; send one table, with one header, at a time")
        return fields


def read(
    body: bytes, model_columns: Sequence[str] = (), size: int = sys.maxsize
) -> Iterator[Products]:
    """Read a body as products, some `size` of them at a time.

    The first line that is not blank is a header if one of its fields is the name of a column that
    is known (see `columns`). Otherwise every line that is not blank is one product, commas and
    all; a line that is one quoted field is unquoted.

    It takes little more memory than the text, and each step is short, so that a large body need
    not hold up others; a part may be empty.

    Args:
        model_columns: of the model's signature.

    Raises:
        CsvError: not UTF-8, no product in it, or a row that does not fit the header; once it comes
            to the row.
    """
    text = _without_leftovers(decode(body))
    start = _first_line(text, 0)
    if separator_line := _SEPARATOR_LINE.match(text, start):
        start = _first_line(text, separator_line.end())
    if _BLANK.fullmatch(text, start):
        raise CsvError(_EMPTY)
    end = LINE_END.search(text, start)
    stop = end.end() if end else len(text)
    header = _header(text, start, stop, model_columns)
    if header is None:
        if _BLANK.fullmatch(text, stop):
            _check_for_lost_line_ends(text, start, model_columns)
        _check_for_report_lines(text, stop, model_columns)
        for piece in _pieces(text, start):
            lines = [line for line in _LINE_ENDS.split(piece) if line.strip()]
            for first in range(0, len(lines) or 1, size):
                yield Products((), [(_unquote(line),) for line in lines[first : first + size]])
        return
    if end is None:
        raise CsvError(_LINE_ENDS_LOST.format(shown(header.names)))
    columns = tuple(header.indexes)
    empty = True
    for part in _parts(text, header, size):
        full = [row for row in part if "".join(row).strip()]
        empty = empty and not full
        yield Products(columns, full)
    if empty:
        raise CsvError(_NO_ROWS)


def _without_leftovers(text: str) -> str:
    """A text without lines at its end that hold nothing but `_LEFT`."""
    if not any(each in text[-4:] for each in _LEFT):
        return text
    end = LINE_END.search(text, len(text.rstrip(f"{_LEFT} \t\r\n")))
    return text[: end.end()] if end else text


def _first_line(text: str, start: int) -> int:
    """Where the first line begins that is not blank, byte order marks left out."""
    blank = _BLANK_LINES.match(text, start)
    return blank.end() if blank else start


def _header(
    text: str, start: int, stop: int, model_columns: Sequence[str], *, least: int = 1
) -> _Header | None:
    """The header between two positions, if `least` of its columns are known.

    Raises:
        CsvError: none of its columns holds a text, or two have the same name.
    """
    if stop - start > _LONGEST_HEADER:
        return None
    is_open = text.count('"', start, stop) % 2
    several = _SEVERAL_LINES.match(text, start, start + _LONGEST_HEADER) if is_open else None
    for end in (several.end(), stop) if several else (stop,):
        line = text[start:end].strip("\r\n")
        names, separator = _cut(line, model_columns)
        if len(names) == 1 and line.lstrip().startswith('"'):
            # A spreadsheet that expects another separator puts each line in one cell.
            names, separator = _cut(names[0], model_columns)
        if known(names, model_columns) >= least:
            break
    else:
        return None
    number = line_number(text, start)
    last = number + len(LINE_END.findall(line))
    if is_open and (end == stop or _line_below([[*names]], number) <= last):
        raise CsvError(_NEVER_CLOSED.format(number))
    try:
        indexes = text_columns(names, model_columns)
    except ColumnsError as error:
        raise CsvError(f"line {number}: {error}") from None
    return _Header(number, last, end, names, sorted(map(_bare, names)), separator, indexes)


def _cut(line: str, model_columns: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The fields of a header, and its separator: the one that gives most columns that are known."""

    lines = _LINE.findall(line.strip())

    def cut(separator: str) -> tuple[tuple[str, ...], str]:
        names = next(csv.reader(lines, delimiter=separator), [])
        while len(names) > 1 and not fold(names[-1]):
            names.pop()
        single = len(names) == 1 and separator not in line
        return tuple(names), _NO_SEPARATOR if single else separator

    found = map(cut, SEPARATORS)
    return max(found, key=lambda cut: (known(cut[0], model_columns), len(cut[0])))


def _check_for_lost_line_ends(text: str, start: int, model_columns: Sequence[str]) -> None:
    """See that a text of one line, too long for a header, does not begin with one.

    Raises:
        CsvError: it does.
    """
    if len(text) - start <= _LONGEST_HEADER:
        return
    names, _ = _cut(text[start : start + _LONGEST_HEADER], model_columns)
    found = [name for name in names if known([name], model_columns)]
    # One name inside may be a word of a long text.
    if found[1:] or found[:1] == [*names[:1]]:
        raise CsvError(_LINE_ENDS_LOST.format(shown(found)))


def _check_for_report_lines(text: str, start: int, model_columns: Sequence[str]) -> None:
    """See that there is no header further down.

    Raises:
        CsvError: there is one.
    """
    stop = min(len(text), start + _REPORT)
    below = text[start:stop].casefold()
    if sum(name in below for name in (*_BEGINNINGS_OF_NAMES, *map(fold, model_columns))) < 2:
        return
    while start < stop:
        end = LINE_END.search(text, start)
        after = end.end() if end else len(text)
        header = _header(text, start, after, model_columns, least=2)
        if header is not None:
            raise CsvError(
                f"line {header.line} is a header ({shown(header.names)}) with other lines above "
                "it; take those away"
            )
        start = after


def _pieces(text: str, start: int) -> Iterator[str]:
    while start < len(text):
        end = LINE_END.search(text, start + _PIECE)
        stop = end.end() if end else len(text)
        yield text[start:stop]
        start = stop


def _parts(text: str, header: _Header, size: int) -> Iterator[list[list[str]]]:
    """The rows of a table below its header, some `size` at a time.

    Raises:
        CsvError: a line has more fields than any table, or a row is not read.
    """
    at_end = False
    begins = header.last_line + 1

    def lines() -> Iterator[list[str]]:
        nonlocal at_end
        number = header.last_line + 1
        for piece in _pieces(text, header.stop):
            found = _LINE.findall(piece)
            for at, line in enumerate(found if len(piece) > _MOST_FIELDS else (), number):
                if line.count(header.separator) > _MOST_FIELDS:
                    raise CsvError(f"line {at} has more than {_MOST_FIELDS} fields")
            yield found
            number += len(found)
        at_end = True
        yield [_END]

    # Whatever is done for each row here is most of what a large table costs.
    reader = csv.reader(itertools.chain.from_iterable(lines()), delimiter=header.separator)
    try:
        while read := list(itertools.islice(reader, size)):
            last = read.pop() if at_end else _END_READ
            ends = _line_below(read, begins) if last != _END_READ else 0
            yield header.rows(read, begins)
            if last != _END_READ:
                raise CsvError(_NEVER_CLOSED.format(ends))
            begins = header.last_line + reader.line_num + 1
    except csv.Error as error:
        raise CsvError(f"line {header.last_line + reader.line_num}: {error}") from None


def _line_below(rows: list[list[str]], line: int) -> int:
    """The line below rows as read, the first of which begins at a line."""
    return line + sum(1 + sum(len(LINE_END.findall(field)) for field in row) for row in rows)


def _whole_line_in_quotes(fields: list[str], separator: str, width: int) -> list[str]:
    inside = next(csv.reader(_LINE.findall(fields[0]), delimiter=separator), [])
    return inside if len(inside) == width else fields


def _bare(field: str) -> str:
    return field.strip(_EDGES).casefold()


def _unquote(line: str) -> str:
    bare = line.strip()
    if len(bare) < 2 or bare[0] != '"' or bare[-1] != '"':
        return line
    inside = bare[1:-1]
    # A lone quote inside ends the field early, so the line is no single field.
    if '"' in inside.replace('""', ""):
        return line
    return inside.replace('""', '"')
