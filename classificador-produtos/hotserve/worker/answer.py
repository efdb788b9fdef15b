"""An answer to a client, whoever gives it."""

import json
from dataclasses import dataclass, field
from typing import Any

from hotserve.ipc.counts import NONE
from hotserve.worker.upstream.events import Events

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
        events: what comes in place of a body, piece by piece; to be closed by who has it.
    """

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    lane: str = NONE
    version: str = ""
    events: Events | None = None

    @property
    def size(self) -> int:
        """Bytes of its body, as far as they were sent."""
        return self.events.sent if self.events is not None else len(self.body)


def encoded(fields: Any, indent: int | None = None) -> bytes:
    """JSON in UTF-8; half of a surrogate pair, which has none, becomes a question mark."""
    return json.dumps(fields, ensure_ascii=False, indent=indent).encode("utf-8", "replace")


def is_for_a_terminal(headers: Headers) -> bool:
    """Whether who asks shows the answer as it comes."""
    return dict(headers).get(b"user-agent", b"").startswith(TERMINALS)
