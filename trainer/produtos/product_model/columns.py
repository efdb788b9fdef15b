"""The names of the columns that hold a product's text, and when two names are the same.

`hotserve` has the same names and the same rule; tests hold the two together.
"""

import unicodedata
from functools import lru_cache

TEXT_COLUMNS = ("texto", "informacao")
"""Columns that hold the whole text of a product; the first one that is there counts."""

PART_COLUMNS = ("nome", "descricao")
"""Columns that hold a part of it each."""

CATEGORY = "categoria"
"""What is to be found out: never part of a text."""

_IGNORED = frozenset(("Mn", "Me", "Cc", "Cf", "So", "Zl", "Zp", "Zs"))
"""Unicode categories: accents and other marks, controls, what has no width, emoji, odd blanks."""


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
