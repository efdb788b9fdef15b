"""A folder that hotserve is going to write to, tried before anything depends on it."""

import errno
import os
import tempfile
from pathlib import Path

from hotserve.config.errors import UsageError

_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))


def disk_full(text: str, folder: Path) -> str:
    """Whose disk is full, if the text of an error or of a child process says so; else empty."""
    return f"the disk of {folder} is full" if any(full in text for full in _FULL) else ""


def write_error(error: OSError, folder: Path) -> str:
    """Why the folder could not be written to."""
    text = error.strerror or str(error)
    return disk_full(text, folder) or text


def make_ready(folder: Path, shown: Path, what: str, option: str) -> None:
    """Make it if it is not there, and write to it.

    Args:
        folder: to be written to.
        shown: what to call it in an error; `folder` itself, or what the user named above it.
        what: it is, in an error.
        option: names another one; so does its variable.

    Raises:
        UsageError: it can't be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        variable = "HOTSERVE_" + option.lstrip("-").replace("-", "_").upper()
        raise UsageError(
            f"the {what} {shown} can't be written to ({write_error(error, shown)}); "
            f"name another with {option} or {variable}"
        ) from None
