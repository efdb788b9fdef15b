"""The table of products: read, checked, cleaned, and what was left out of it, with why.

Imports neither pandas, scikit-learn nor MLflow, so that a bad file is told at once.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from produtos.data.columns import index_of, named_twice, short, shown, text_columns
from produtos.data.csv import Table, read_table
from produtos.data.formats import decode
from produtos.data.source import location, read_bytes
from produtos.data.summary import Summary
from produtos.errors import BadInput, without_secrets
from produtos.language import tr
from produtos.product_model.columns import CATEGORY, PART_COLUMNS, TEXT_PARTS, fold
from produtos.text import has_word, normal_form, product_text, tidy

COLUMNS = (*PART_COLUMNS, CATEGORY)

_NO_CATEGORY = re.compile(
    r"nan|<na>|none|null|\(null\)|\\n|#?n/[ad]|"
    r"#(ref|valor|value|nome|name|nulo|null|núm|num|div/0)[!?]"
)
"""What programs write where there is no category: pandas, databases, formulas of spreadsheets."""


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


class Columns(NamedTuple):
    """Where a table has the parts of a product; None for one that it has not."""

    name: int | None
    description: int | None
    category: int

    def unused(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the table's columns that are something else."""
        others = (name.strip() for index, name in enumerate(names) if index not in self)
        return tuple(filter(None, others))


def product_of(name: str, description: str, category: str) -> Product:
    """The product of a row's fields; it has no key where there is no text."""
    name, description = name.strip(), description.strip()
    category = tidy(category)
    if _NO_CATEGORY.fullmatch(category.casefold()):
        category = ""
    return Product(name, description, category, normal_form(product_text(name, description)))


def is_kept(
    product: Product,
    line: int | str | None,
    summary: Summary,
    category_before: Callable[[str, str], str | None],
) -> bool:
    """Whether a product is one of the data set; it is counted in the summary in either case.

    Args:
        product: the next one.
        line: where it is, if that is known.
        summary: of those before.
        category_before: told a text and its category, gives the category that the text had first,
            None if it is new.
    """
    if not product.key:
        summary.leave_out("no_text", line)
    elif not product.category:
        summary.leave_out("no_category", line)
    elif (first := category_before(product.key, product.category)) is not None:
        summary.leave_out("repeated" if first == product.category else "conflicting", line)
    else:
        summary.by_category[product.category] += 1
        summary.without_words += not has_word(product.text(include_name=True))
        return True
    return False


@dataclass(frozen=True, eq=False)
class Dataset:
    """The products of one file, no two with the same text, in the file's order.

    Attributes:
        products: at least two categories, each of at least two products.
        content: the file as it was.
        summary: what is in it.
    """

    products: tuple[Product, ...]
    content: bytes
    summary: Summary

    @property
    def shown(self) -> str:
        """Where it is, shortened when it is in the folder that one is in."""
        return self.summary.where.removeprefix(f"{Path.cwd()}/")

    @property
    def categories(self) -> list[str]:
        """Every category, sorted."""
        return list(self.summary.counts)


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
        check_categories(dataset.summary)
    except BadInput as error:
        raise BadInput("dataset {where}: {error}", where=where, error=error) from None
    return dataset


def parse(content: bytes, where: str) -> Dataset:
    """The products of a file, whether or not they are enough to train on.

    Raises:
        BadInput: it is no table of products.
    """
    table = read_table(decode(content))
    columns = columns_of(table)
    names = sorted(map(fold, table.names))
    digest = hashlib.sha256(content).hexdigest()
    summary = Summary(where, digest, columns.unused(table.names))
    categories: dict[str, str] = {}

    def category_before(key: str, category: str) -> str | None:
        before = categories.get(key)
        categories.setdefault(key, category)
        return before

    products = []
    for line, row in table.rows:
        if len(row) > len(names):
            summary.leave_out("misshapen", line)
            continue
        row += [""] * (len(names) - len(row))
        if fold(row[columns.category]) in names and sorted(map(fold, row)) == names:
            raise BadInput(
                "the header is there again at line {line}; delete that line, and join files "
                "without their headers",
                line=line,
            )
        product = product_of(*(row[each] if each is not None else "" for each in columns))
        if is_kept(product, line, summary, category_before):
            products.append(product)
    return Dataset(tuple(products), content, summary)


def columns_of(table: Table) -> Columns:
    """Where the text and the category are.

    Raises:
        BadInput: the header does not say, or names a column twice.
    """
    if twice := named_twice(table.names):
        raise BadInput(
            "the header at line {line} has {name} twice; rename or delete one",
            line=table.line,
            name=twice,
        )
    texts = text_columns(table.names)
    category = index_of(CATEGORY, table.names)
    if texts and category is not None:
        name = next((each for each in texts if fold(table.names[each]) in TEXT_PARTS[0]), None)
        rest = next((each for each in texts if each != name), None)
        return Columns(name, rest, category)
    below = next(table.rows, None)
    missing = [*([] if texts else PART_COLUMNS), *([CATEGORY] if category is None else [])]
    raise BadInput(
        "the header at line {line} has no column {missing}; there are: {shown}; it "
        "must be {columns}{more}",
        line=table.line,
        missing=tr(" and no column ").join(missing),
        shown=shown(table.names),
        columns=";".join(COLUMNS),
        more="" if below else tr("; no line is below it: were the line ends lost?"),
    )


def check_categories(summary: Summary) -> None:
    """See that there are categories to tell apart, with products to learn each of them from.

    Raises:
        BadInput: there are not.
    """
    counts = summary.counts
    if not counts:
        raise BadInput(
            "nothing left to train on ({summary}); each row needs a category and a nome "
            "or a descricao",
            summary=summary,
        )
    spellings: dict[tuple[str, str], list[str]] = {}
    for category in counts:
        # Symbols are part of a category, unlike a column's name: 3★ is not 3★★.
        symbols = "".join(each for each in category if unicodedata.category(each) == "So")
        spellings.setdefault((fold(category), symbols), []).append(category)
    if several := [", ".join(each) for each in spellings.values() if len(each) > 1]:
        raise BadInput(
            "categories that differ in upper and lower case or accents only ({several}); "
            "write each of them in one way",
            several="; ".join(map(short, several[:3])),
        )
    # Perhaps the others are in rows that could not be read.
    lost = f" ({summary})" if summary.left_out.total() else ""
    if len(counts) == 1:
        raise BadInput(
            "every product is of one category, {categories}; a classifier needs two or more{lost}",
            categories=short(next(iter(counts))),
            lost=lost,
        )
    if alone := [category for category, count in counts.items() if count == 1]:
        raise BadInput(
            "only one product in the category {alone}; add more of its products, or "
            "leave the category out{lost}",
            alone=shown(alone[:5]),
            lost=lost,
        )
