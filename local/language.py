"""What `make run` tells, in the language of the terminal: the trainer's messages and these are one
catalog.
"""

import gettext
import os
from pathlib import Path

LOCALE = Path(__file__).resolve().parent.parent / "trainer" / "produtos" / "locale"

_chosen = os.environ.get("LINGUA")
_catalog = gettext.translation("produtos", LOCALE, [_chosen] if _chosen else None, fallback=True)


def tr(message: str) -> str:
    """A message in that language, its `{names}` still to be filled in."""
    return _catalog.gettext(message)
