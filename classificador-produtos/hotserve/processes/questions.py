"""Asks a model's own process for predictions, to compare its answers."""

import contextlib
import http.client

from hotserve.inputs.mlflow_json import error_line

TIMEOUT = 60.0


class Refused(Exception):
    """It gave no prediction; the text says what came instead."""


def ask(port: int, content_type: str, body: bytes, what: str = "") -> bytes:
    """The answer of the process on a port of the loopback.

    Args:
        what: it answers, for the text of an error.

    Raises:
        Refused: it was not 200.
        OSError, http.client.HTTPException: there was none; TimeoutError: not in time.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    with contextlib.closing(connection):
        connection.request("POST", "/invocations", body, {"Content-Type": content_type})
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise Refused(f"{answer.status}{what}: {error_line(content)}")
    return content
