"""The bearer tokens that clients may show: one from a variable, or several from a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hotserve.config.errors import UsageError

VARIABLE = "HOTSERVE_TOKEN"
FILE_VARIABLE = "HOTSERVE_TOKEN_FILE"

_TOKEN = re.compile(r"[!-~]+")


def read_tokens(environment: Mapping[str, str], file: str) -> tuple[str, ...]:
    """The tokens of HOTSERVE_TOKEN, or of a file; none at all where neither is given.

    Args:
        environment: variables.
        file: one token a line; blank lines and lines that begin with # do not count. Empty: none.

    Raises:
        UsageError: both are given, the file can't be read or holds no token, or one of them can't
            be sent in a header.
    """
    variable = environment.get(VARIABLE, "")
    if variable and file:
        raise UsageError(f"{VARIABLE} and a token file are both given; keep one of them")
    if variable:
        if not _TOKEN.fullmatch(variable):
            raise UsageError(f"{VARIABLE} must be visible ASCII characters without spaces")
        return (variable,)
    return _of_file(Path(file)) if file else ()


def _of_file(path: Path) -> tuple[str, ...]:
    try:
        path = path.expanduser()
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except OSError as error:
        raise UsageError(f"the token file {path} can't be read: {error.strerror}") from None
    except RuntimeError:
        raise UsageError(f"the token file {path} can't be read: whose home is that?") from None
    except UnicodeDecodeError:
        raise UsageError(f"the token file {path} is no text") from None
    tokens = {n: line for n, line in enumerate(lines, 1) if line and not line.startswith("#")}
    for number, token in tokens.items():
        if not _TOKEN.fullmatch(token):
            raise UsageError(
                f"the token file {path}, line {number}: a token must be visible ASCII characters "
                "without spaces"
            )
    if not tokens:
        raise UsageError(f"the token file {path} holds no token; write one into it, one a line")
    return tuple(tokens.values())
