"""Which columns of a table hold the text of a product."""

from collections.abc import Sequence
from dataclasses import dataclass

from produtos.data.columns import PART_COLUMNS, TEXT_COLUMNS, fold, index_of, shown
from produtos.errors import BadInput

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
        index = index_of(asked, names)
        return None if index is None else TextColumns((index,))
    for name in TEXT_COLUMNS:
        place = index_of(name, names)
        if place is not None:
            return TextColumns((place,))
    parts = [index_of(name, names) for name in PART_COLUMNS]
    places = tuple(place for place in parts if place is not None)
    return TextColumns(places) if places else None


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
    wanted = f"column {asked}" if asked else f"column {', '.join(KNOWN[:-1])} or {KNOWN[-1]}"
    return BadInput(
        f"input {where}: no {wanted}; there are: {shown(names)}; say which one holds the text with "
        "--text-column NAME"
    )
