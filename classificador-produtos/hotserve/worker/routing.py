"""The paths that there are: their methods, who answers, and which of them need no token."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hotserve.ipc.counts import OTHER
from hotserve.worker.answer import Answer
from hotserve.worker.errors import RequestError

PREDICTIONS = "/invocations"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Handler = Callable[[Scope, Receive], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """A path, or all the paths that there are not.

    Attributes:
        path: as it is counted and listed; `OTHER` for one that is not.
        methods: empty where any will do.
        public: whether no token is needed.
    """

    path: str
    handler: Handler
    methods: tuple[str, ...] = ("GET", "HEAD")
    public: bool = False

    def require_method(self, method: str) -> None:
        """Raise 405 for another one."""
        if self.methods and method not in self.methods:
            allowed = ", ".join(self.methods)
            message = f"{self.path} takes {allowed}, not {method}"
            raise RequestError(405, message, (b"allow", allowed.encode()))


class Router:
    """Finds the route of a path.

    Args:
        routes: each at its own path.
        files: further paths of a route.
    """

    def __init__(self, routes: Iterable[Route], files: dict[str, Route]) -> None:
        listed = {route.path: route for route in routes}
        self.paths = list(listed)
        self._routes = {**files, **listed}
        self._unknown = Route(OTHER, self._not_found, methods=())

    def find(self, path: str) -> Route:
        """With or without a slash at its end; an unknown path has a route that answers 404."""
        route = self._routes.get(path) or self._routes.get(path.removesuffix("/"))
        return route or self._unknown

    async def _not_found(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        known = ", ".join(self.paths)
        raise RequestError(404, f"there is nothing at this path; there is {known}")
