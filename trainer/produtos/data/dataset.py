"""The table of products: read, checked, cleaned, and what was left out of it, with why.

Imports neither pandas, scikit-learn nor MLflow, so that a bad file is told at once.
"""

import codecs
import csv
import hashlib
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from produtos.data.columns import CATEGORY, PART_COLUMNS, index_of, named_twice, shown
from produtos.data.csv import is_left_open, is_separator_line, without_empty_tail
from produtos.data.formats import SAVE_AS_CSV, not_csv
from produtos.data.source import is_url, location, read_bytes
from produtos.errors import BadInput
from produtos.text import normal_form, product_text, tidy

COLUMNS = (*PART_COLUMNS, CATEGORY)
DELIMITER = ";"
FIRST_BYTES = {
    b"PAR1": "this is a Parquet file; give a CSV file",
    b"\x1f\x8b": "this file is gzipped; unpack it, and give the CSV file in it",
    b"\xff\xfe": f"this is UTF-16, which Excel calls Unicode text; {SAVE_AS_CSV}",
}
"""What is wrong with a data set that begins so, in lower case, and what to do."""

OTHER_DELIMITERS = {",": "a comma", "\t": "a tab", "|": "a bar"}

NO_TEXT = "no_text"
NO_CATEGORY = "no_category"
REPEATED = "repeated"
CONFLICTING = "conflicting"
MISSHAPEN = "misshapen"

REASONS = {
    NO_TEXT: "without a text",
    NO_CATEGORY: "without a category",
    REPEATED: "repeated",
    CONFLICTING: "repeated with another category",
    MISSHAPEN: "with too many fields",
}
"""Why a row is left out, as it is logged and as it is said."""

LINES_LISTED = 50
"""How many line numbers the report names for each reason."""


@dataclass(frozen=True, slots=True)
class Product:
    """One row. `key` is what makes two products the same one."""

    name: str
    description: str
    category: str
    key: str

    def text(self, *, include_name: bool) -> str:
        """What the model is given: name and description, or the description alone."""
        return product_text(self.name if include_name else None, self.description)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The products of one file, no two with the same text, in the file's order.

    Attributes:
        products: at least two categories, each of at least two products.
        content: the file as it was.
        where: its absolute path or address.
        rows_read: rows below the header.
        dropped: for each of `REASONS` that occurred, the line numbers of the rows left out.
    """

    products: tuple[Product, ...]
    content: bytes
    where: str
    rows_read: int
    dropped: dict[str, list[int]]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def shown(self) -> str:
        """`where`, shortened when it is in the folder that one is in."""
        inside = not is_url(self.where) and Path(self.where).is_relative_to(Path.cwd())
        return str(Path(self.where).relative_to(Path.cwd())) if inside else self.where

    @cached_property
    def categories(self) -> list[str]:
        """Every category, sorted."""
        return sorted({product.category for product in self.products})

    def summary(self) -> str:
        """One line for the console."""
        left_out = ", ".join(
            f"{len(lines):,} {REASONS[reason]}" for reason, lines in self.dropped.items()
        )
        return (
            f"{self.rows_read:,} rows, {len(self.products):,} products, "
            f"{len(self.categories)} categories; left out: {left_out or 'none'}"
        )

    def report(self) -> dict[str, Any]:
        """The same, in full, ready for JSON."""
        return {
            "source": self.where,
            "sha256": self.digest,
            "rows_read": self.rows_read,
            "rows_kept": len(self.products),
            "rows_dropped": {
                reason: {
                    "meaning": meaning,
                    "rows": len(self.dropped.get(reason, [])),
                    "lines": self.dropped.get(reason, [])[:LINES_LISTED],
                }
                for reason, meaning in REASONS.items()
            },
            "categories": dict(sorted(Counter(p.category for p in self.products).items())),
        }


def load(source: str | None = None) -> Dataset:
    """Read and clean a data set.

    Args:
        source: a path or an http(s) address; the shipped file if left out.

    Raises:
        BadInput: it cannot be read, or no classifier can be trained on it.
    """
    where = location(source)
    content = read_bytes(where)
    rows = _rows(_decode(content, where), where)
    dataset = _clean(rows, content, where)
    _check_categories(dataset)
    return dataset


def _decode(content: bytes, where: str) -> str:
    if message := not_csv(content):
        raise BadInput(f"dataset {where}: {message}")
    start = content[:100].removeprefix(codecs.BOM_UTF8).lstrip()
    for first, said in FIRST_BYTES.items():
        if start.startswith(first) or start.lower().startswith(first):
            raise BadInput(f"dataset {where}: {said}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"dataset {where}: not UTF-8 at line {line}, byte offset {error.start} "
            f"(0x{content[error.start]:02x}); save the file as UTF-8"
        ) from None


def _rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """The columns of `COLUMNS` for each row, with the line number where the row starts.

    A row with too many fields has no columns: nobody can tell which field is which.
    """
    lines = _parse(text, where)
    try:
        _, header = next(lines)
        if is_separator_line(DELIMITER.join(header)):
            _, header = next(lines)
    except StopIteration:
        raise BadInput(
            f"dataset {where}: empty; it needs a header line {DELIMITER.join(COLUMNS)}"
        ) from None
    places = _places(header, where)
    for number, fields in lines:
        if len(fields) == 1 and not fields[0].strip():
            continue
        row = list(without_empty_tail(fields, len(header)))
        if len(row) > len(header):
            yield number, []
        else:
            row += [""] * (len(header) - len(row))
            yield number, [row[place] for place in places]


def _parse(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(sys.maxsize)
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=DELIMITER)
    start = 1
    for fields in reader:
        end = reader.line_num
        # Without this, a forgotten quote would take the rows below into its field without a word.
        # One that opens on the last line has none below, but is a mistake as well.
        if (end > start or end == len(lines)) and is_left_open(
            "".join(lines[start - 1 : end]), DELIMITER
        ):
            raise BadInput(
                f'dataset {where}: a quote (") opened in the row at line {start} is never closed; '
                "close it, or double the quotes inside the field"
            )
        if fields:
            yield start, fields
        start = end + 1


def _places(header: list[str], where: str) -> list[int]:
    if name := named_twice(header):
        raise BadInput(f"dataset {where}: two columns are called {name}; rename or delete one")
    places = {name: index_of(name, header) for name in COLUMNS}
    missing = [name for name, place in places.items() if place is None]
    if not missing:
        return [place for place in places.values() if place is not None]
    if len(header) == 1:
        for delimiter, said in OTHER_DELIMITERS.items():
            if delimiter in header[0]:
                raise BadInput(
                    f"dataset {where}: fields are separated by {said} ({delimiter!r}); "
                    f"separate them by a semicolon ({DELIMITER!r})"
                )
    raise BadInput(
        f"dataset {where}: no column {' and no column '.join(missing)}; there are: {shown(header)}"
        f"; the header must be {DELIMITER.join(COLUMNS)}"
    )


def _clean(rows: Iterable[tuple[int, list[str]]], content: bytes, where: str) -> Dataset:
    kept: dict[str, Product] = {}
    dropped: dict[str, list[int]] = {}
    rows_read = 0
    for number, fields in rows:
        rows_read += 1
        reason = None
        if not fields:
            reason = MISSHAPEN
        else:
            name, description, category = (field.strip() for field in fields)
            category = tidy(category)
            key = normal_form(product_text(name, description))
            if not key:
                reason = NO_TEXT
            elif not category:
                reason = NO_CATEGORY
            elif key not in kept:
                kept[key] = Product(name, description, category, key)
            else:
                reason = REPEATED if kept[key].category == category else CONFLICTING
        if reason:
            dropped.setdefault(reason, []).append(number)
    ordered = {reason: dropped[reason] for reason in REASONS if reason in dropped}
    return Dataset(tuple(kept.values()), content, where, rows_read, ordered)


def _check_categories(dataset: Dataset) -> None:
    where = dataset.where
    counts = Counter(product.category for product in dataset.products)
    if not counts:
        raise BadInput(
            f"dataset {where}: nothing left to train on ({dataset.summary()}); "
            "each row needs a category and a nome or a descricao"
        )
    spellings: dict[str, list[str]] = {}
    for category in sorted(counts):
        spellings.setdefault(normal_form(category), []).append(category)
    if several := [", ".join(each) for each in spellings.values() if len(each) > 1]:
        raise BadInput(
            f"dataset {where}: categories that differ in upper and lower case only "
            f"({'; '.join(several[:3])}); write each of them in one way"
        )
    if len(counts) == 1:
        raise BadInput(
            f"dataset {where}: every product is of one category, {next(iter(counts))}; "
            "a classifier needs two or more"
        )
    alone = sorted(category for category, count in counts.items() if count == 1)
    if alone:
        raise BadInput(
            f"dataset {where}: only one product in the category {', '.join(alone[:5])}; "
            "add more of its products, or leave the category out"
        )
