"""The names of the columns that hold a product's text, and when two names are the same.

`hotserve` has the same names and the same rule; tests hold the two together.
"""

import unicodedata
from collections.abc import Collection
from functools import lru_cache

WHOLE_TEXT = ("texto", "informacao")
"""Names of the column that holds the whole text; the first one that is there counts."""

TEXT_PARTS = (("nome",), ("descricao",))
"""Names of each column that holds a part of it, in their order; of each the first counts, too."""

PART_COLUMNS = tuple(names[0] for names in TEXT_PARTS)
"""What the parts are called where they are asked for."""

TEXT_COLUMNS = (*WHOLE_TEXT, *(name for names in TEXT_PARTS for name in names))
"""Every name of a column that holds a text, or a part of one."""

CATEGORY = "categoria"
"""What is to be found out: never part of a text."""

_IGNORED = frozenset(("Mn", "Me", "Cc", "Cf", "So", "Zl", "Zp", "Zs"))
"""Unicode categories: accents and other marks, controls, what has no width, emoji, odd blanks."""


def text_columns(names: Collection[str]) -> list[str]:
    """Those of a table's names, folded, that make the text together, in its order."""
    parts = TEXT_PARTS if {*WHOLE_TEXT}.isdisjoint(names) else (WHOLE_TEXT,)
    found = (next((name for name in part if name in names), None) for part in parts)
    return [name for name in found if name]


def fold(name: str) -> str:
    """What two names have in common when they look the same.

    Case, accents, surrounding blanks, emoji and invisible characters do not count.
    """
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
