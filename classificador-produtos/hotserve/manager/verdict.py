"""What was found out of a version: whether its lane, or its rows together, may be asked.

Helpers find it out: short-lived processes, each of which writes one line of JSON.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hotserve.processes.guarded_process import ProcessContext, run_to_end
from hotserve.processes.own_code import environment_of_own_code
from hotserve.redaction import Redactor

_TRIES = 3


class NoVerdict(Exception):
    """No verdict this time; the text says why in one line."""


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


async def answer_of(
    argv: Sequence[str], context: ProcessContext, seconds: float, what: str
) -> tuple[int | None, dict[str, Any]]:
    """A helper's exit code, and the last line of its output that is a JSON object, if one is.

    Args:
        what: it does, for the text of an error.

    Raises:
        NoVerdict: it took too long, or failed without an answer.
    """
    try:
        end = await run_to_end(argv, context, timeout=seconds, tries=_TRIES)
    except TimeoutError:
        raise NoVerdict(f"{what} took longer than {seconds:g} s") from None
    answer = end.answer()
    if answer is None and end.code != 0:
        raise NoVerdict(f"{what} failed: {end.reason()}")
    return end.code, answer or {}


async def comparison_by(
    module: str, arguments: Sequence[str], context: ProcessContext, seconds: float
) -> dict[str, Any]:
    """What a module of ours beside this one found out about the answers of a model's process.

    Raises:
        NoVerdict: it took too long, or gave no answer.
    """
    what = "comparing its answers"
    argv = [sys.executable, "-P", "-m", f"{__package__}.{module}", *arguments]
    context = replace(context, environment=environment_of_own_code(context.environment))
    _, answer = await answer_of(argv, context, seconds, what)
    if not answer:
        raise NoVerdict(f"{what} came to nothing")
    return answer
