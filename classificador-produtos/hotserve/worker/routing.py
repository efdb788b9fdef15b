"""The paths that there are: their methods, who answers, and which of them need no token."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hotserve.worker.answer import Answer

PREDICTIONS = "/invocations"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Handler = Callable[[Scope, Receive], Awaitable[Answer]]


class ClientGone(Exception):
    """The client went away in the middle of its request."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path, or all the paths that there are not.

    Attributes:
        path: as it is counted and listed; `OTHER` for one that is not.
        methods: empty where any will do.
        public: whether no token is needed.
        predicts: whether it is counted as a prediction.
    """

    path: str
    handler: Handler
    methods: tuple[str, ...] = ("GET", "HEAD")
    public: bool = False
    predicts: bool = False
