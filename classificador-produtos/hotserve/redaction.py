"""Takes secrets and paths of this machine out of texts that are shown to clients."""

import re
from collections.abc import Iterable

_PASSWORD = re.compile(r"(?<=://)[^\s/?#'\"]*@")
_QUERY = re.compile(r"(\b\w[\w+.-]*://[^\s?'\"<>]*\?)[^\s'\"<>]+")


def without_secrets(text: str) -> str:
    """The text with `…` for the user, the password and the query of each address in it."""
    return _QUERY.sub(r"\1…", _PASSWORD.sub("…@", text))


class Redactor:
    """Removes paths of this machine from texts.

    Args:
        folders: their names, and what follows them up to the end of the path, are removed.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        known = {folder.rstrip("/") for folder in folders}
        # The longest first, so that a folder inside another is found whole.
        names = sorted((re.escape(f) for f in known if f.count("/") > 1), key=len, reverse=True)
        system = r"/(?:usr|opt|tmp|home|root|var|srv|mnt|etc|app|work|proc)"
        locations = "|".join([*names, rf"{system}(?=/[\w.])"])
        self._path = re.compile(rf"(?<![\w/:.])(?:file://)?(?:{locations})(?:/[^\s'\",;:()<>\]]*)?")

    def text(self, text: str) -> str:
        """The text with `…` for each path."""
        return self._path.sub("…", text)
