"""Which web pages of other origins may read the answers (CORS, as the Fetch standard has it)."""

from collections.abc import Iterable

from hotserve.worker.answer import Answer, Headers

_EXPOSED = (
    b"access-control-expose-headers",
    b"X-Model-Version, X-Hotserve-Lane, Retry-After, WWW-Authenticate",
)
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (b"access-control-allow-headers", b"Authorization, Content-Type"),
    (b"access-control-max-age", b"600"),
]


class Cors:
    """Without origins nothing is added to any answer; `*` is every origin."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = {origin.encode("ascii") for origin in origins}
        self.is_on = bool(self._origins)

    def headers(self, request_headers: Headers) -> Headers:
        """What to add to the answer to a request with these headers; `Vary` is not among it."""
        if self.is_on:
            for name, origin in request_headers:
                if name == b"origin" and (origin in self._origins or b"*" in self._origins):
                    return [(b"access-control-allow-origin", origin), _EXPOSED]
        return []

    def preflight(self, method: str, request_headers: Headers) -> Answer | None:
        """The answer to a browser that asks whether it may ask; such a question has no token."""
        if method != "OPTIONS" or not self.headers(request_headers):
            return None
        asked = any(name == b"access-control-request-method" for name, _ in request_headers)
        return Answer(204, _PREFLIGHT) if asked else None
