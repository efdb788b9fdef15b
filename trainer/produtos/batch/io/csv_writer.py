"""How this project writes CSV: UTF-8, `;` between fields, a line feed after each row."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

DELIMITER = ";"


class CsvWriter:
    """Rows to an open text file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def row(self, fields: Sequence[Any]) -> None:
        """Write one row."""
        self.rows([fields])

    def rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write several; their text is made at once, so not more than fit into memory."""
        rows = list(rows)
        text = _text(rows, "\n")
        # Python before 3.13 quotes of all line ends only those that it writes itself: a carriage
        # return in a field must not look like the end of the row.
        if "\r" in text:
            text = "".join(_text([row], "\r\n")[:-2] + "\n" for row in rows)
        self._file.write(text)


def _text(rows: Iterable[Sequence[Any]], line_end: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=DELIMITER, lineterminator=line_end).writerows(rows)
    return text.getvalue()
