"""What the user has to put right."""


class UsageError(Exception):
    """An option, a variable, an address, a port or a folder can't be used: exit code 2.

    The text says which and why, in one line, and holds no secret.
    """
