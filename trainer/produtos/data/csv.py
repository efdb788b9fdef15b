"""What `csv.reader` does not tell of a row, and what spreadsheets put into CSV files."""

import re
from collections.abc import Sequence
from functools import cache

_SEPARATOR_LINE = re.compile(r'[\ufeff\s]*"?sep=[;,\t|]"?\s*', re.IGNORECASE)


def is_separator_line(line: str) -> bool:
    """Whether a file's first line only tells Excel what separates the fields: `sep=;`."""
    return _SEPARATOR_LINE.fullmatch(line) is not None


def without_empty_tail(fields: Sequence[str], width: int) -> Sequence[str]:
    """A row without the empty fields of columns that the header does not have.

    A cell that was used once makes a spreadsheet write its column for ever, in every row.
    """
    return fields if any(map(str.strip, fields[width:])) else fields[:width]


def is_left_open(row: str, separator: str) -> bool:
    r"""Whether a quote that opens a field of this row is never closed.

    `csv.reader` reads on to the next quote, be it a hundred lines below, and takes all between for
    one field. A quote is left open when the row ends first, and also when the field goes over a
    line's end and the next quote cannot be what closes it: neither the separator nor a line's end
    comes after it. Then it belongs to a row below, as in `"doll;1\nball;2\n"car; red";3`.

    Args:
        row: its lines as they are in the file.
        separator: between fields.
    """
    field = _field(separator)
    position = 0
    while found := field.match(row, position):
        quoted, closing, rest, end = found.groups()
        if quoted is not None and (not closing or (rest and ("\n" in quoted or "\r" in quoted))):
            return True
        if end != separator:
            return False
        position = found.end()
    return False


@cache
def _field(separator: str) -> re.Pattern[str]:
    """A field as `csv.reader` cuts it: the quoted part, its quote, the rest, what ends it."""
    cut = re.escape(separator)
    return re.compile(rf'(?:"([^"]*(?:""[^"]*)*)("?))?([^{cut}\r\n]*)({cut}|[\r\n]|$)')
