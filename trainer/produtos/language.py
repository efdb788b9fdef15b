"""What people are told, in the language of their terminal: Portuguese or English.

The messages are written in English where they are said; `locale/` has the other language. What a
program reads stays as it is in every language: parameters, columns, metrics.
"""

import gettext
import os
from itertools import takewhile
from pathlib import Path

LOCALE = Path(__file__).with_name("locale")
DOMAIN = "produtos"

CHOSEN = os.environ.get("LINGUA")
"""`pt` or `en`; where it is empty, LANGUAGE, LC_ALL, LC_MESSAGES and LANG tell."""

_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")

_named = CHOSEN or next(filter(None, map(os.environ.get, _VARIABLES)), "")
# A list may hold both languages. English has no catalog, so gettext would look further.
_languages = takewhile(lambda each: not each.startswith("en"), _named.split(":"))
_catalog = gettext.translation(DOMAIN, LOCALE, list(_languages), fallback=True)


def tr(message: str) -> str:
    """A message in that language, its `{names}` still to be filled in."""
    return _catalog.gettext(message)
