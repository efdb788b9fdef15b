"""A whole answer to a client, whoever gives it."""

from dataclasses import dataclass, field

from hotserve.ipc.counts import NONE

Headers = list[tuple[bytes, bytes]]
"""Names in small letters."""

JSON = (b"content-type", b"application/json")

TERMINALS = (b"curl/", b"Wget/")
"""How the `User-Agent` of those begins who show an answer as it comes: it ends with a line end.

For a client that reads JSON it is white space. MLflow's server sends none, so all others get none.
"""


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


def is_for_a_terminal(headers: Headers) -> bool:
    """Whether who asks shows the answer as it comes."""
    return dict(headers).get(b"user-agent", b"").startswith(TERMINALS)
