"""The table of products: read, checked, cleaned, and what was left out of it, with why.

Imports neither pandas, scikit-learn nor MLflow, so that a bad file is told at once.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from produtos.data.columns import (
    CATEGORY,
    PART_COLUMNS,
    fold,
    index_of,
    named_twice,
    shown,
    text_columns,
)
from produtos.data.csv import Table, read_table
from produtos.data.formats import decode
from produtos.data.source import location, read_bytes
from produtos.errors import BadInput, without_secrets
from produtos.language import tr
from produtos.text import has_word, normal_form, product_text, tidy

COLUMNS = (*PART_COLUMNS, CATEGORY)

REASONS = {
    "no_text": tr("without a text"),
    "no_category": tr("without a category"),
    "repeated": tr("repeated"),
    "conflicting": tr("repeated with another category"),
    "misshapen": tr("with too many fields"),
}
"""Why a row is left out, as it is logged and as it is said."""

CATEGORIES_SHOWN = 40
"""How many categories the console names; the report has them all."""

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
        where: its absolute path, or its address without secrets.
        rows_read: rows below the header.
        dropped: for each of `REASONS` that occurred, the line numbers of the rows left out.
        unused: names of columns that hold neither a text nor the category.
    """

    products: tuple[Product, ...]
    content: bytes
    where: str
    rows_read: int
    dropped: dict[str, list[int]]
    unused: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def shown(self) -> str:
        """`where`, shortened when it is in the folder that one is in."""
        return self.where.removeprefix(f"{Path.cwd()}/")

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many products each category has, by its name in order."""
        return dict(sorted(Counter(product.category for product in self.products).items()))

    @property
    def categories(self) -> list[str]:
        """Every category, sorted."""
        return list(self.counts)

    @cached_property
    def without_words(self) -> int:
        """How many products have nothing in their text that a model looks at."""
        return sum(not has_word(product.text(include_name=True)) for product in self.products)

    def summary(self) -> str:
        """One line for the console."""
        left_out = [f"{len(lines):,} {REASONS[why]}" for why, lines in self.dropped.items()]
        more = (
            tr("; {without_words:,} without a word to learn").format(
                without_words=self.without_words
            )
            if self.without_words
            else ""
        )
        if self.unused:
            more += tr("; columns not used: {shown}").format(shown=shown(self.unused))
        return tr(
            "{rows_read:,} rows, {products:,} products, {counts} categories; left out: "
            "{left_out}{more}"
        ).format(
            rows_read=self.rows_read,
            products=len(self.products),
            counts=len(self.counts),
            left_out=", ".join(left_out) or tr("none"),
            more=more,
        )

    def category_counts(self) -> str:
        """One line for the console, the largest category first."""
        listed = [f"{name} {count:,}" for name, count in Counter(self.counts).most_common()]
        if (more := len(listed) - CATEGORIES_SHOWN) > 0:
            listed[CATEGORIES_SHOWN:] = [tr("and {more} smaller ones").format(more=more)]
        return tr("categories: {listed}").format(listed=", ".join(listed))

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
            "columns_not_used": list(self.unused),
            "without_words": self.without_words,
            "categories": self.counts,
        }


def load(source: str | None = None) -> Dataset:
    """Read and clean a data set.

    Args:
        source: a path or an http(s) address; the shipped file if left out.

    Raises:
        BadInput: it cannot be read, or no classifier can be trained on it.
    """
    address = location(source)
    where = without_secrets(address)
    try:
        dataset = parse(read_bytes(address), where)
        _check_categories(dataset)
    except BadInput as error:
        raise BadInput(tr("dataset {where}: {error}").format(where=where, error=error)) from None
    return dataset


def parse(content: bytes, where: str) -> Dataset:
    """The products of a file, whether or not they are enough to train on.

    Raises:
        BadInput: it is no table of products.
    """
    table = read_table(decode(content))
    texts, category = _columns(table)
    name_column = index_of(PART_COLUMNS[0], table.names)
    names = sorted(map(fold, table.names))
    kept: dict[str, Product] = {}
    dropped: dict[str, list[int]] = {reason: [] for reason in REASONS}
    rows_read = 0
    for line, row in table.rows:
        rows_read += 1
        if len(row) > len(names):
            dropped["misshapen"].append(line)
            continue
        row += [""] * (len(names) - len(row))
        if fold(row[category]) in names and sorted(map(fold, row)) == names:
            raise BadInput(
                tr(
                    "the header is there again at line {line}; delete that line, and join files "
                    "without their headers"
                ).format(line=line)
            )
        name = row[name_column].strip() if name_column is not None and name_column in texts else ""
        description = " ".join(row[each].strip() for each in texts if each != name_column)
        key = normal_form(product_text(name, description))
        product = Product(name, description, tidy(row[category]), key)
        if not key:
            dropped["no_text"].append(line)
        elif not product.category:
            dropped["no_category"].append(line)
        elif (first := kept.setdefault(key, product)) is not product:
            same = first.category == product.category
            dropped["repeated" if same else "conflicting"].append(line)
    others = (name for index, name in enumerate(table.names) if index not in (*texts, category))
    unused = tuple(filter(None, map(str.strip, others)))
    dropped = {reason: lines for reason, lines in dropped.items() if lines}
    return Dataset(tuple(kept.values()), content, where, rows_read, dropped, unused)


def _columns(table: Table) -> tuple[list[int], int]:
    """Where the text and the category are.

    Raises:
        BadInput: the header does not say, or names a column twice.
    """
    if name := named_twice(table.names):
        raise BadInput(
            tr("the header at line {line} has {name} twice; rename or delete one").format(
                line=table.line, name=name
            )
        )
    texts = text_columns(table.names)
    category = index_of(CATEGORY, table.names)
    if texts and category is not None:
        return texts, category
    below = next(table.rows, None)
    missing = [*([] if texts else PART_COLUMNS), *([CATEGORY] if category is None else [])]
    raise BadInput(
        tr(
            "the header at line {line} has no column {missing}; there are: {shown}; it "
            "must be {columns}{more}"
        ).format(
            line=table.line,
            missing=tr(" and no column ").join(missing),
            shown=shown(table.names),
            columns=";".join(COLUMNS),
            more="" if below else tr("; no line is below it: were the line ends lost?"),
        )
    )


def _check_categories(dataset: Dataset) -> None:
    """See that there are categories to tell apart, with products to learn each of them from.

    Raises:
        BadInput: there are not.
    """
    counts = dataset.counts
    if not counts:
        raise BadInput(
            tr(
                "nothing left to train on ({summary}); each row needs a category and a nome "
                "or a descricao"
            ).format(summary=dataset.summary())
        )
    spellings: dict[str, list[str]] = {}
    for category in counts:
        spellings.setdefault(fold(category), []).append(category)
    if several := [", ".join(each) for each in spellings.values() if len(each) > 1]:
        raise BadInput(
            tr(
                "categories that differ in upper and lower case or accents only ({several}); "
                "write each of them in one way"
            ).format(several="; ".join(several[:3]))
        )
    if len(counts) == 1:
        raise BadInput(
            tr(
                "every product is of one category, {categories}; a classifier needs two or more"
            ).format(categories=dataset.categories[0])
        )
    if alone := [category for category, count in counts.items() if count == 1]:
        raise BadInput(
            tr(
                "only one product in the category {alone}; add more of its products, or "
                "leave the category out"
            ).format(alone=", ".join(alone[:5]))
        )
