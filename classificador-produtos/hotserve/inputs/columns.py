"""The names that columns of products have, and which columns of a table hold the text."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

WHOLE_TEXT = ("texto", "informacao")
"""Names of the column that holds the whole text; the first one that is there counts."""
TEXT_PARTS = (("nome",), ("descricao",))
"""Names of each column that holds a part of it, in their order; of each the first counts, too."""
TEXT_COLUMNS = (*WHOLE_TEXT, *(name for names in TEXT_PARTS for name in names))
CATEGORY = "categoria"
"""What is to be found out: never part of a text."""
KNOWN_COLUMNS = (*TEXT_COLUMNS, CATEGORY)
PROBABILITIES = "probabilidades"
"""Beside `CATEGORY` in an answer with probabilities."""

_IGNORED = frozenset(("Mn", "Me", "Cc", "Cf", "So", "Zl", "Zp", "Zs"))
"""Unicode categories: accents and other marks, controls, what has no width, emoji, odd blanks."""


class ColumnsError(ValueError):
    """A table whose columns can't be classified; the text says why."""


def fold(name: str) -> str:
    """What two names of columns have in common when they look the same to a person.

    Case, accents, surrounding blanks, emoji and characters that nobody sees do not count.
    """
    if name.isascii() and name.isprintable():
        return name.strip().casefold()
    return "".join(map(_base, name)).strip().casefold()


@lru_cache(maxsize=1024)
def _base(character: str) -> str:
    """What is left of a character without accents, nothing of one that is ignored."""
    if character == " ":
        return character
    if unicodedata.category(character) in _IGNORED:
        return ""
    letters = unicodedata.normalize("NFKD", character)
    return "".join(each for each in letters if unicodedata.category(each) not in _IGNORED)


def known(names: Sequence[str], model_columns: Sequence[str]) -> int:
    """How many of a table's names are known: the model's, or `KNOWN_COLUMNS`."""
    expected = {*KNOWN_COLUMNS, *map(fold, model_columns)}
    return sum(fold(name) in expected for name in names)


def text_columns(names: Sequence[str], model_columns: Sequence[str]) -> dict[str, int]:
    """Where the columns are that hold the text.

    The model's own ones count first. A model that takes the whole text in one column is given
    that, however many columns it comes in.

    Args:
        names: of the columns of a table, as they came.
        model_columns: of the model's signature.

    Returns:
        Index by name, as the model, or else this module, writes it; in the order of the text.

    Raises:
        ColumnsError: no column holds a text, or two have the same name.
    """
    folded = [fold(name) for name in names]
    own = {fold(column): column for column in model_columns}
    chosen = _own_columns(folded, own) if own else {}
    whole = next((name for name in WHOLE_TEXT if name in own), None)
    if not chosen or whole not in (None, *chosen):
        parts = TEXT_PARTS if _first(WHOLE_TEXT, folded) is None else (WHOLE_TEXT,)
        chosen = {name: name for part in parts if (name := _first(part, folded)) is not None}
    if not chosen:
        expected = ", ".join(dict.fromkeys((*model_columns, *TEXT_COLUMNS)))
        raise ColumnsError(
            f"none of the columns {shown(names)} holds a text; name one of them {expected}"
        )
    for there in chosen.values():
        if folded.count(there) > 1:
            raise ColumnsError(f"the column {there} is there twice: {shown(names)}")
    return {own.get(name, name): folded.index(there) for name, there in chosen.items()}


def _own_columns(folded: Sequence[str], own: Collection[str]) -> dict[str, str]:
    """The columns of a model that a table has, and what it calls each."""
    chosen = {}
    for column in dict.fromkeys((*TEXT_COLUMNS, *own)):
        if column in own:
            there = column if column in folded else _by_another_name(folded, own, column)
            if there is not None:
                chosen[column] = there
    return chosen


def _by_another_name(folded: Sequence[str], own: Collection[str], column: str) -> str | None:
    parts = (part for part in TEXT_PARTS if column in part)
    return _first([name for part in parts for name in part if name not in own], folded)


def _first(names: Sequence[str], there: Sequence[str]) -> str | None:
    for name in names:
        if name in there:
            return name
    return None


def text_of(parts: Iterable[str]) -> str:
    """The text of a product: its parts with a space between; an empty one is missing."""
    return " ".join(filter(None, parts))


def whole_text_column(model_columns: Sequence[str]) -> str | None:
    """The one of a model's columns that takes the whole text of a product, if it says so."""
    by_name = {fold(column): column for column in model_columns}
    return next((by_name[column] for column in WHOLE_TEXT if column in by_name), None)


def shown(names: Sequence[str]) -> str:
    """Names for a message, the first ten of them."""
    return ", ".join(" ".join(name.split())[:60] or "(no name)" for name in names[:10])
