"""A whole answer to a client, whoever gives it."""

from dataclasses import dataclass, field

from hotserve.ipc.counts import NONE

Headers = list[tuple[bytes, bytes]]
"""Names in small letters."""

JSON = (b"content-type", b"application/json")


@dataclass(slots=True)
class Answer:
    """Its headers are without Content-Length.

    Attributes:
        lane: who predicted: `FAST`, `PROCESS`, or `NONE` for hotserve's own answers.
        version: of the model that predicted.
    """

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    lane: str = NONE
    version: str = ""
