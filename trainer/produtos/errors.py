"""The two ways a command ends early: what it was given is no good, or it was told to stop."""


class BadInput(Exception):
    """Something the user gave, or a server it depends on, is not usable.

    The message is one line: what was wrong, where, and what to do. A command prints it and ends
    with exit code 2.
    """


class Stopped(BaseException):
    """SIGTERM, SIGINT or SIGHUP arrived.

    Not an `Exception`, so that no `except Exception` of a library swallows it.

    Attributes:
        signal_number: the signal's number; the exit code is 128 plus it.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
