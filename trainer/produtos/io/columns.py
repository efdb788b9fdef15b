"""Which columns of a table hold the text of a product."""

from collections.abc import Sequence

from produtos.data.columns import index_of, named_twice, shown, text_columns
from produtos.errors import BadInput
from produtos.language import tr
from produtos.product_model.columns import PART_COLUMNS, WHOLE_TEXT


def find(names: Sequence[str], asked: str | None, where: str) -> list[int]:
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
            raise BadInput(
                "{where}: column {number} has no name; give it one, or delete it",
                where=where,
                number=number,
            )
    if twice := named_twice(names):
        raise BadInput(
            "{where}: the column {twice} is there twice; rename one", where=where, twice=twice
        )
    if asked:
        index = index_of(asked, names)
        indexes = [] if index is None else [index]
    else:
        indexes = text_columns(names)
    if indexes:
        return indexes
    known = (*WHOLE_TEXT, *PART_COLUMNS)
    missing = (
        tr("column {asked}").format(asked=asked)
        if asked
        else tr("column {known} or {known2}").format(known=", ".join(known[:-1]), known2=known[-1])
    )
    raise BadInput(
        "{where}: no {missing}; there are: {shown}; say which one holds the text "
        "with --text-column NAME",
        where=where,
        missing=missing,
        shown=shown(names),
    )


def texts_of(parts: Sequence[Sequence[str]]) -> list[str]:
    """The text of each row: its parts, column by column, put together with a space."""
    if len(parts) == 1:
        return list(parts[0])
    return [" ".join(filter(None, fields)) for fields in zip(*parts, strict=True)]
