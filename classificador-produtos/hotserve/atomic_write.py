"""Writes a small file in one step."""

import os
import tempfile
from pathlib import Path

SCRATCH_PREFIX = ".incomplete-"
"""How a file is called until it is whole; one that a killed process left behind is of no use."""


def atomic_write(path: Path, text: str) -> None:
    """Put `text` into `path`: a reader sees the whole of it, or what was there before.

    Raises:
        OSError: it can't be written; what was there before is still there.
    """
    scratch, name = tempfile.mkstemp(dir=path.parent, prefix=SCRATCH_PREFIX)
    try:
        with open(scratch, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
