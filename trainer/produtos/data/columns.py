"""The names of a table's columns: which are known, where the text is, what a header is.

For the trainer and for batch. `hotserve` reads headers alike, and a shared set of tables in the
tests holds the two together.
"""

import csv
import io
import sys
from collections.abc import Collection, Sequence

from produtos.language import tr
from produtos.product_model.columns import CATEGORY, TEXT_COLUMNS, fold
from produtos.product_model.columns import text_columns as columns_of_text

KNOWN_COLUMNS = (*TEXT_COLUMNS, CATEGORY)

SEPARATORS = ";,\t|"

NO_SEPARATOR = "\ud800"
"""Of a table with one column: a comma in it is part of the text, and half of a surrogate pair is in
none."""

csv.field_size_limit(sys.maxsize)


def find_header(text: str, also: Collection[str] = ()) -> tuple[str, list[str]] | None:
    """The separator and the names of columns, if the first row of a text is a header.

    It is one when one of its fields is a known column, or is in `also`.

    Args:
        text: the first lines of a table that are not empty, after a `sep=;`.
        also: more names of columns.
    """
    known = {*KNOWN_COLUMNS, *map(fold, also)}
    cuts = ((separator, first_row(text, separator)) for separator in SEPARATORS)
    headers = [cut for cut in cuts if not known.isdisjoint(map(fold, cut[1]))]
    if not headers:
        return None
    separator, names = max(headers, key=lambda cut: len(cut[1]))
    return (separator if len(names) > 1 else NO_SEPARATOR), names


def first_row(text: str, separator: str) -> list[str]:
    """The fields of a text's first row."""
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])


def index_of(column: str, names: Sequence[str]) -> int | None:
    """Where a column is among the names of a file, or None."""
    folded = [fold(name) for name in names]
    return folded.index(fold(column)) if fold(column) in folded else None


def text_columns(names: Sequence[str]) -> list[int]:
    """Where the text is: `texto`, else `informacao`, else `nome` and `descricao`, or nowhere."""
    folded = [fold(name) for name in names]
    return [folded.index(column) for column in columns_of_text(folded)]


def named_twice(names: Sequence[str]) -> str | None:
    """A name that two columns have, as the second of them writes it; no name is none."""
    folded = [fold(name) for name in names]
    for index, name in enumerate(folded):
        if name and name in folded[:index]:
            return names[index].strip()
    return None


def shown(names: Sequence[str]) -> str:
    """The names of a table's columns, for a message."""
    more = ["…"] if len(names) > 10 else []
    return ", ".join([short(name) or tr("(no name)") for name in names[:10]] + more)


def short(name: str) -> str:
    """The beginning of a name, in one line."""
    return " ".join(name.split())[:60]
