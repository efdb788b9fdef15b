"""The bearer tokens that clients may show: one from a variable, or several from a file.

They are kept with what is known of the client that each was given to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from hotserve.config.errors import UsageError
from hotserve.config.model_uri import matches

VARIABLE = "HOTSERVE_TOKEN"
FILE_VARIABLE = "HOTSERVE_TOKEN_FILE"

_TOKEN = re.compile(r"[!-~]+")
# No name is as long as a random token: one that was written first is never taken for a name.
_LINE = re.compile(
    rf"(?:([\w.@-]{{1,30}})\s+)?((?!models:/){_TOKEN.pattern})((?:\s+models:/[^\s/]+)*)"
)


@dataclass(frozen=True, slots=True)
class Client:
    """Who has a token.

    Attributes:
        name: may be empty.
        models: names of the models that it may ask, in which `*` is any text; empty: all.
    """

    name: str = ""
    models: tuple[str, ...] = ()

    def may_ask(self, model: str) -> bool:
        """Whether the model of that name answers this client."""
        return not self.models or any(matches(pattern, model) for pattern in self.models)


def read_tokens(environment: Mapping[str, str], file: str) -> dict[str, Client] | None:
    """The tokens of HOTSERVE_TOKEN, or of a file, with who has them; None where neither is given.

    Args:
        environment: variables.
        file: read by `of_file`; empty: none.

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
        return {variable: Client()}
    if not file:
        return None
    if tokens := of_file(file):
        return tokens
    raise UsageError(f"the token file {file} holds no token; write one into it, one a line")


def of_file(file: str) -> dict[str, Client]:
    """Tokens with who has them: `NAME TOKEN models:/MODEL …` a line, of which TOKEN must be there.

    Blank lines and lines that begin with # do not count.

    Raises:
        UsageError: the file can't be read, or a line of it; tokens are not shown.
    """
    path = Path(file)
    try:
        path = path.expanduser()
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except OSError as error:
        raise UsageError(f"the token file {path} can't be read: {error.strerror}") from None
    except RuntimeError:
        raise UsageError(f"the token file {path} can't be read: whose home is that?") from None
    except UnicodeDecodeError:
        raise UsageError(f"the token file {path} is no text") from None
    tokens: dict[str, Client] = {}
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        if (match := _LINE.fullmatch(line)) is None:
            raise UsageError(
                f"the token file {path}, line {number}: write a token of visible ASCII characters, "
                "or before it a name of up to 30 letters, digits and . _ @ - and a space; "
                "behind it models:/NAME for each model that it is good for, if it is not for all"
            )
        name, token, models = match.groups("")
        if token in tokens:
            raise UsageError(f"the token file {path}, line {number}: a line above has this token")
        patterns = (unquote(each.removeprefix("models:/")) for each in models.split())
        tokens[token] = Client(name, tuple(patterns))
    return tokens
