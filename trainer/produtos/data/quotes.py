"""Quotes in CSV that were opened and forgotten, which `csv.reader` does not tell.

It reads on to the next quote, be it a hundred lines below, and takes all between for one field.
"""

import re
from functools import cache


def is_left_open(row: str, delimiter: str) -> bool:
    r"""Whether a quote that opens a field of this row is never closed.

    So it is when the row ends first, and also when the field goes over a line's end and the next
    quote cannot be what closes it: neither the delimiter nor a line's end comes after it. Then it
    belongs to a row below, as in `"doll;1\nball;2\n"car; red";3`.

    Args:
        row: its lines as they are in the file.
        delimiter: between fields.
    """
    field = _field(delimiter)
    place = 0
    while found := field.match(row, place):
        quoted, closing, rest, end = found.groups()
        if quoted is not None and (not closing or (rest and ("\n" in quoted or "\r" in quoted))):
            return True
        if end != delimiter:
            return False
        place = found.end()
    return False


@cache
def _field(delimiter: str) -> re.Pattern[str]:
    """A field as `csv.reader` cuts it: the quoted part, its quote, the rest, what ends it."""
    cut = re.escape(delimiter)
    return re.compile(rf'(?:"([^"]*(?:""[^"]*)*)("?))?([^{cut}\r\n]*)({cut}|[\r\n]|$)')
