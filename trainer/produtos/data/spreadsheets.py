"""What spreadsheets, and who saves them, make of a table of products."""

import re
import unicodedata
from collections.abc import Sequence

SAVE_AS_CSV = "save the sheet as CSV, UTF-8, and give that file"

NOT_CSV = {
    b"PK\x03\x04": f"this is a zip file, as .xlsx and .ods are, not a CSV; {SAVE_AS_CSV}",
    b"\xd0\xcf\x11\xe0": f"this is an .xls file, not a CSV; {SAVE_AS_CSV}",
    b"%PDF": "this is a PDF, not a CSV; save its table as CSV, UTF-8",
}
"""What is wrong with a file that begins so, and what to do."""

_SEPARATOR_LINE = re.compile(r'"?sep=[;,\t|]"?[\r\n]*', re.IGNORECASE)


def is_separator_line(line: str) -> bool:
    """Whether a file's first line only tells Excel what separates the fields: `sep=;`."""
    return _SEPARATOR_LINE.fullmatch(line) is not None


def without_empty_tail(fields: Sequence[str], width: int) -> Sequence[str]:
    """A row without the empty fields of columns that the header does not have.

    A cell that was used once makes a spreadsheet write its column for ever, in every row.
    """
    return fields if any(map(str.strip, fields[width:])) else fields[:width]


def place_of(column: str, names: Sequence[str]) -> int | None:
    """Where a column is among those of a file, as people write its name.

    Args:
        column: in lower case, without accents.
        names: case and surrounding spaces do not count; nor do accents, where no column is called
            so without them.
    """
    for read in (_folded, _plain):
        read_names = [read(name) for name in names]
        if column in read_names:
            return read_names.index(column)
    return None


def _folded(name: str) -> str:
    return name.strip().casefold()


def _plain(name: str) -> str:
    apart = unicodedata.normalize("NFKD", _folded(name))
    return "".join(character for character in apart if not unicodedata.combining(character))
