"""What was found out of a version: whether its lane, or its rows together, may be asked."""

from dataclasses import dataclass
from typing import Any, Literal

from hotserve.redaction import Redactor


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether requests may be answered in a quicker way than one by one by the process.

    Attributes:
        state: `compiling` and `comparing` stand for everything before that is known.
        why: why it is shut; empty otherwise.
        forms: the forms of request that may; see `json_forms` and `batching.requests.read`.
    """

    state: Literal["open", "shut", "compiling", "comparing"]
    why: str = ""
    forms: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether they may."""
        return self.state == "open"

    def shown(self, redactor: Redactor) -> dict[str, Any]:
        """As JSON."""
        why = redactor.text(self.why) or None
        return {"state": self.state, "why": why, "forms": list(self.forms)}
