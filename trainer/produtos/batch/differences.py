"""Where two models' answers differ: counted while they come by, then a table and a picture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from produtos.io.sinks import csv_text
from produtos.language import tr

LISTED = 1_000
"""Products that `differences.csv` names; the output has them all."""

PAIRS_PRINTED = 10
EXAMPLE_LENGTH = 48


@dataclass
class Differences:
    """Two models' answers to the same products.

    Attributes:
        names: what the two models are called.
        pairs: how many products got which pair of answers.
        examples: the first text of each pair of different answers.
        listed: the first `LISTED` products with different answers: text and both answers.
    """

    names: Sequence[str]
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    listed: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, texts: Sequence[str], first: Sequence[str], second: Sequence[str]) -> None:
        """Count some products: three sequences of the same length."""
        self.pairs.update(zip(first, second, strict=True))
        for text, one, other in zip(texts, first, second, strict=True):
            if one != other:
                self.examples.setdefault((one, other), text)
                if len(self.listed) < LISTED:
                    self.listed.append((text, one, other))

    @property
    def products(self) -> int:
        """All that were compared."""
        return self.pairs.total()

    @property
    def differing(self) -> int:
        """Those with different answers."""
        return sum(count for _, _, count in self.ranked())

    @property
    def share(self) -> float:
        """The same as a part of all, 0 when there are none."""
        return self.differing / self.products if self.products else 0.0

    def ranked(self) -> list[tuple[str, str, int]]:
        """Pairs of different answers, the most frequent first."""
        different = [(one, other, n) for (one, other), n in self.pairs.items() if one != other]
        return sorted(different, key=lambda each: (-each[2], each[:2]))

    def table(self) -> str:
        """Lines for the console."""
        one, other = self.names
        share = tr("{differing:,} of {products:,} products ({share:.2%})").format(
            differing=self.differing, products=self.products, share=self.share
        )
        lines = [
            tr("{one} and {other} differ on {share}").format(one=one, other=other, share=share)
        ]
        if ranked := self.ranked():
            rows = [(*self.names, tr("products"), tr("example"))]
            rows += [
                (one, other, f"{count:,}", _shortened(self.examples[one, other]))
                for one, other, count in ranked[:PAIRS_PRINTED]
            ]
            widths = [max(len(row[column]) for row in rows) for column in range(3)]
            lines += [
                f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}"
                for row in rows
            ]
        more = len(ranked) - PAIRS_PRINTED
        if more > 0:
            pairs = tr("pair") if more == 1 else tr("pairs")
            lines.append(
                tr("  … and {more} more {pairs} of answers").format(more=more, pairs=pairs)
            )
        return "\n".join(lines)

    def save(self, folder: Path) -> None:
        """Write the table and its picture: `summary.csv`, `differences.csv`, `differences.png`.

        Without products there is no picture.
        """
        rows = [
            (*pair, count, self.examples.get(pair, ""))
            for pair, count in sorted(self.pairs.items())
        ]
        _write(folder / "summary.csv", (*self.names, "products", "example"), rows)
        _write(folder / "differences.csv", ("texto", *self.names), self.listed)
        self._draw(folder / "differences.png")

    def _draw(self, path: Path) -> None:
        # Only for this, at the end.
        import numpy as np
        from matplotlib.figure import Figure

        from produtos.model.plots import drawn, label_matrix

        # How often each is part of a difference.
        counts = dict.fromkeys(sorted({answer for pair in self.pairs for answer in pair}), 0)
        if not counts:
            return
        for one, other, count in self.ranked():
            counts[one] += count
            counts[other] += count
        categories, others = drawn(counts)
        matrix = np.array([[self.pairs[one, other] for other in categories] for one in categories])
        same = np.eye(len(categories), dtype=bool)
        # Colour tells of differences only: the diagonal would outshine them.
        shown = np.where(same, 0, matrix)
        size = max(4.6, 1.2 + 0.8 * len(categories))
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shown, cmap="Oranges", vmin=0, vmax=max(1, shown.max()))
        label_matrix(axes, matrix, categories, np.where(same, "0.6", "k"))
        title = tr("{differing:,} of {products:,} products differ").format(
            differing=self.differing, products=self.products
        )
        axes.set(title=title + others, ylabel=self.names[0], xlabel=self.names[1])
        figure.savefig(path, dpi=90)


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.write_text(csv_text([header, *rows]), encoding="utf-8", newline="")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXAMPLE_LENGTH else line[: EXAMPLE_LENGTH - 1] + "…"
