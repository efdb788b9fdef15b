"""Which columns of a table hold the text of a product."""

from collections.abc import Sequence
from dataclasses import dataclass

from produtos.data.columns import (
    PART_COLUMNS,
    TEXT_COLUMNS,
    index_of,
    named_twice,
    shown,
    text_columns,
)
from produtos.errors import BadInput


@dataclass(frozen=True)
class TextColumns:
    """Where the text is: one column, or several that are put together with a space."""

    indexes: tuple[int, ...]

    def text(self, fields: Sequence[str]) -> str:
        """The text of one row."""
        if len(self.indexes) == 1:
            return fields[self.indexes[0]]
        return " ".join(filter(None, [fields[index] for index in self.indexes]))


def find(names: Sequence[str], asked: str | None, where: str) -> TextColumns:
    """Look for the text among the names of columns, in the order of a request to the served model.

    Args:
        names: as the file has them.
        asked: the one to take, or nothing for `texto`, `informacao`, or `nome` and `descricao`.
        where: the file, for an error message.

    Raises:
        BadInput: two columns have the same name, or one has none, or none is the text's.
    """
    for number, name in enumerate(names, start=1):
        if not name:
            raise BadInput(f"{where}: column {number} has no name; give it one, or delete it")
    if twice := named_twice(names):
        raise BadInput(f"{where}: the column {twice} is there twice; rename one")
    asked_index = index_of(asked, names) if asked else None
    indexes = [asked_index] if asked_index is not None else [] if asked else text_columns(names)
    if indexes:
        return TextColumns(tuple(indexes))
    known = (*TEXT_COLUMNS, *PART_COLUMNS)
    missing = f"column {asked}" if asked else f"column {', '.join(known[:-1])} or {known[-1]}"
    raise BadInput(
        f"{where}: no {missing}; there are: {shown(names)}; say which one holds the text with "
        "--text-column NAME"
    )
