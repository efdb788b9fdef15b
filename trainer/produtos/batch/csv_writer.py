"""How this project writes CSV: UTF-8, `;` between fields, a line feed after each row."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

DELIMITER = ";"


class CsvWriter:
    """Rows to an open text file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        # Python before 3.13 quotes of all line ends only those that it writes itself: a carriage
        # return in a field must not look like the end of the row.
        self._writer = csv.writer(self, delimiter=DELIMITER, lineterminator="\r\n")

    def write(self, row: str) -> int:
        """What `csv.writer` calls, once for each row."""
        return self._file.write(row[:-2] + "\n")

    def row(self, fields: Sequence[Any]) -> None:
        """Write one row."""
        self._writer.writerow(fields)

    def rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write several."""
        self._writer.writerows(rows)
