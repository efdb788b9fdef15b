"""The products that listings are written for: one line of a text file each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

TEXT = Path(__file__).parent / "text"


@dataclass(frozen=True)
class Product:
    """A product as a plain fact: what it is called, who makes it, what kind it is."""

    name: str
    makers: tuple[str, ...]  # author of a book, platforms of a game, brands of the rest
    publisher: str  # of a book; empty for the rest
    kind: str
    about: str


def read_products(category: str) -> list[Product]:
    """Read `text/produtos_<category>.txt`. Raises ValueError where a line has too few fields."""
    path = TEXT / f"produtos_{category}.txt"
    return [_product(line, f"{path.name}, line {number}") for number, line in _lines(path)]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line and not line.startswith("#"):
            yield number, line


def _product(line: str, where: str) -> Product:
    fields = [field.strip() for field in line.split("|")]
    if len(fields) == 5:
        name, maker, publisher, kind, about = fields
        return Product(name, (maker,), publisher, kind, about)
    if len(fields) == 4:
        name, makers, kind, about = fields
        return Product(name, tuple(makers.split(",")), "", kind, about)
    raise ValueError(f"{where}: {len(fields)} fields, expected 4 or 5")


def endless(products: list[Product], rng: Random) -> Iterator[Product]:
    """Every product in turn, in a new order each time round."""
    while True:
        order = list(products)
        rng.shuffle(order)
        yield from order
