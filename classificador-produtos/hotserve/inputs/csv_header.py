"""The header of a table in text/csv: where it is, and how it says that the rows are read."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hotserve.inputs.bodies import LINE_END, CsvError, line_number
from hotserve.inputs.columns import KNOWN_COLUMNS, ColumnsError, fold, known, shown, text_columns

SEPARATORS = ";,\t|"
_NO_SEPARATOR = "\ud800"
"""With one column a comma is part of the text: half of a surrogate pair is in none."""
MARK = "\ufeff"
_EDGES = f"{MARK} "
_PADDING = 3
"""Blanks and marks that may stand around a name where a header is repeated."""
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_SEVERAL_LINES = re.compile(r'(?:[^"\r\n]|"[^"]*")*+(?:\r\n|\n|\r|\Z)')
"""A line, with those below it into which a name in quotes goes on."""
_LONGEST_HEADER = 10_000
_REPORT = 4_000
"""Characters among which a header is looked for below lines that are none of the table."""
_BEGINNINGS_OF_NAMES = tuple(name[:6] for name in KNOWN_COLUMNS)
"""What a line that may be a header is quickly known by: accents stand further behind."""

NEVER_CLOSED = (
    "line {}: a double quote opens a field and is never closed; "
    "put a text that has quotes in it in double quotes, and write each of its own twice"
)
LINE_ENDS_LOST = (
    "the body is one line that names columns ({}), without a row; `curl -d` takes line ends away: "
    "use --data-binary"
)


@dataclass(frozen=True, slots=True)
class Header:
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
                    raise CsvError(f"line {line_below(read[:at], line)} {error}") from None
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


def find_header(
    text: str, start: int, stop: int, model_columns: Sequence[str], *, least: int = 1
) -> Header | None:
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
    if is_open and (end == stop or line_below([[*names]], number) <= last):
        raise CsvError(NEVER_CLOSED.format(number))
    try:
        indexes = text_columns(names, model_columns)
    except ColumnsError as error:
        raise CsvError(f"line {number}: {error}") from None
    return Header(number, last, end, names, sorted(map(_bare, names)), separator, indexes)


def _cut(line: str, model_columns: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The fields of a header, and its separator: the one that gives most columns that are known."""

    lines = LINE.findall(line.strip())

    def cut(separator: str) -> tuple[tuple[str, ...], str]:
        names = next(csv.reader(lines, delimiter=separator), [])
        while len(names) > 1 and not fold(names[-1]):
            names.pop()
        single = len(names) == 1 and separator not in line
        return tuple(names), _NO_SEPARATOR if single else separator

    found = map(cut, SEPARATORS)
    return max(found, key=lambda cut: (known(cut[0], model_columns), len(cut[0])))


def check_for_lost_line_ends(text: str, start: int, model_columns: Sequence[str]) -> None:
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
        raise CsvError(LINE_ENDS_LOST.format(shown(found)))


def check_for_report_lines(text: str, start: int, model_columns: Sequence[str]) -> None:
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
        header = find_header(text, start, after, model_columns, least=2)
        if header is not None:
            raise CsvError(
                f"line {header.line} is a header ({shown(header.names)}) with other lines above "
                "it; take those away"
            )
        start = after


def line_below(rows: list[list[str]], line: int) -> int:
    """The line below rows as read, the first of which begins at a line."""
    return line + sum(1 + sum(len(LINE_END.findall(field)) for field in row) for row in rows)


def _whole_line_in_quotes(fields: list[str], separator: str, width: int) -> list[str]:
    inside = next(csv.reader(LINE.findall(fields[0]), delimiter=separator), [])
    return inside if len(inside) == width else fields


def _bare(field: str) -> str:
    return field.strip(_EDGES).casefold()
