"""Which columns of a table hold the text of a product."""

from collections.abc import Sequence
from dataclasses import dataclass

from produtos.data.spreadsheets import place_of
from produtos.errors import BadInput

# The same as in `product_classifier`, which a test sees to: importing it takes seconds.
TEXT_COLUMNS = ("texto", "informacao")
PART_COLUMNS = ("nome", "descricao")
KNOWN = (*TEXT_COLUMNS, *PART_COLUMNS)


@dataclass(frozen=True)
class TextColumns:
    """Where the text is: one column, or several that are put together with a space.

    The same columns in the same order of preference as in a request to the served model.
    """

    places: tuple[int, ...]

    def text(self, fields: Sequence[str]) -> str:
        """The text of one row."""
        if len(self.places) == 1:
            return fields[self.places[0]]
        return " ".join(filter(None, [fields[place] for place in self.places]))


def find(names: Sequence[str], asked: str | None) -> TextColumns | None:
    """Look for the text among the names of columns.

    Args:
        names: as the file has them; case, accents and surrounding spaces do not count.
        asked: the one to take, or nothing for `texto`, `informacao`, or `nome` and `descricao`.

    Returns:
        Nothing when there is no such column.
    """
    if asked:
        folded = [fold(name) for name in names]
        return TextColumns((folded.index(fold(asked)),)) if fold(asked) in folded else None
    for name in TEXT_COLUMNS:
        place = place_of(name, names)
        if place is not None:
            return TextColumns((place,))
    parts = [place_of(name, names) for name in PART_COLUMNS]
    places = tuple(place for place in parts if place is not None)
    return TextColumns(places) if places else None


def fold(name: str) -> str:
    """What two names of columns have in common when they are the same one."""
    return name.strip().casefold()


def check_names(names: Sequence[str], where: str) -> None:
    """See that each column has a name of its own.

    Raises:
        BadInput: two have the same one, or one has none.
    """
    folded = [fold(name) for name in names]
    for place, name in enumerate(folded, start=1):
        if not name:
            raise BadInput(f"input {where}: column {place} has no name; give it one, or delete it")
        if folded.index(name) + 1 != place:
            raise BadInput(f"input {where}: two columns are called {name}; rename one")


def no_text_column(names: Sequence[str], asked: str | None, where: str) -> BadInput:
    """The error for a table in which the text was not found."""
    there = ", ".join(name.strip()[:60] or "(no name)" for name in names[:10])
    wanted = f"column {asked}" if asked else f"column {', '.join(KNOWN[:-1])} or {KNOWN[-1]}"
    return BadInput(
        f"input {where}: no {wanted}; there are: {there}; say which one holds the text with "
        "--text-column NAME"
    )
