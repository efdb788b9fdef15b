"""What is in a data set, in a line and in full, whichever way it was read."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from produtos.data.columns import short, shown
from produtos.language import tr

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


@dataclass
class Summary:
    """A data set in figures, counted as it is read; as a string, one line for the console.

    Attributes:
        where: its absolute path, or its address without secrets.
        digest: SHA-256 of the file, in hexadecimal; empty where it was not read as one.
        unused: names of columns that hold neither a text nor the category.
        by_category: how many products each category has.
        left_out: for each of `REASONS` that occurred, how many rows were left out.
        lines: for each of them, where the first `LINES_LISTED` are.
        without_words: how many products have nothing in their text that a model looks at.
    """

    where: str
    digest: str = ""
    unused: Sequence[str] = ()
    by_category: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[int | str]] = field(default_factory=lambda: defaultdict(list))
    without_words: int = 0

    def leave_out(self, reason: str, line: int | str | None) -> None:
        """Count a row that is left out, and say where it is, if that is known."""
        self.left_out[reason] += 1
        if line is not None and len(self.lines[reason]) < LINES_LISTED:
            self.lines[reason].append(line)

    @property
    def counts(self) -> dict[str, int]:
        """How many products each category has, by its name in order."""
        return dict(sorted(self.by_category.items()))

    @property
    def products(self) -> int:
        """How many there are."""
        return self.by_category.total()

    @property
    def rows_read(self) -> int:
        """Rows below the header."""
        return self.products + self.left_out.total()

    def __str__(self) -> str:
        left_out = [
            f"{self.left_out[why]:,} {said}" for why, said in REASONS.items() if self.left_out[why]
        ]
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
            products=self.products,
            counts=len(self.by_category),
            left_out=", ".join(left_out) or tr("nothing"),
            more=more,
        )

    def category_counts(self) -> str:
        """One line for the console, the largest category first."""
        listed = [f"{short(name)} {count:,}" for name, count in Counter(self.counts).most_common()]
        if (more := len(listed) - CATEGORIES_SHOWN) > 0:
            listed[CATEGORIES_SHOWN:] = [tr("and {more} smaller ones").format(more=more)]
        return tr("categories: {listed}").format(listed=", ".join(listed))

    def report(self) -> dict[str, Any]:
        """The same, in full, ready for JSON."""
        return {
            "source": self.where,
            "sha256": self.digest,
            "rows_read": self.rows_read,
            "rows_kept": self.products,
            "rows_dropped": {
                reason: {
                    "meaning": meaning,
                    "rows": self.left_out[reason],
                    "lines": self.lines.get(reason, []),
                }
                for reason, meaning in REASONS.items()
            },
            "columns_not_used": list(self.unused),
            "without_words": self.without_words,
            "categories": self.counts,
        }
