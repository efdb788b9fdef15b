"""The two ways a command ends early: what it was given is no good, or it was told to stop."""

import re

from produtos.language import tr

LONGEST = 400
"""Characters of an error that is not ours: it may carry a whole answer of a server."""


class BadInput(Exception):
    """Something the user gave, or a server it depends on, is not usable.

    The message is one line: what was wrong, where, and what to do. A command prints it and ends
    with exit code 2.

    Args:
        message: in English; it is told in the language of the terminal, as by `tr`.
        values: for its `{names}`.
    """

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__(tr(message).format(**values) if values else tr(message))


class Stopped(BaseException):
    """SIGTERM, SIGINT or SIGHUP arrived.

    Not an `Exception`, so that no `except Exception` of a library swallows it.

    Attributes:
        signal_number: the signal's number; the exit code is 128 plus it.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


_ADDRESS = re.compile(r"\w[\w+.-]*://[^\s'\">]+")

_USER = re.compile(r"^([\w+.-]+://)(?:[^/?#]*@|[^/?#@:]*:(?!\d*(?:[/?#]|$)).*@)?")
"""What stands before the host; also of an address that has a `/` in its password."""


def without_secrets(address: str) -> str:
    """An address as it may be recorded and shown.

    Without user and password, and with the names in its query only: any value may be a token or a
    signature.
    """
    if "://" not in address:
        return address
    address, hash_mark, fragment = _USER.sub(r"\1", address).partition("#")
    address, question_mark, query = address.partition("?")
    if query:
        names = re.findall(r"(?:^|&)([^=&]+)=", query)
        query = "&".join(f"{name}=…" for name in names) or "…"
    return f"{address}{question_mark}{query}{hash_mark}{re.sub('=.*', '=…', fragment)}"


def in_one_line(error: BaseException) -> str:
    """What an error of a library says, or its kind where it says nothing.

    Addresses in it lose their secrets. One that is long loses its middle: MLflow's begin with an
    address and end with the reason.
    """
    said = " ".join(str(error).split()) or type(error).__name__
    said = _ADDRESS.sub(lambda found: without_secrets(found[0]), said)
    half = LONGEST // 2
    return said if len(said) <= LONGEST else f"{said[:half]} … {said[-half:]}"
