"""Who may ask: bearer tokens (RFC 6750), where there are any."""

import hmac
from collections.abc import Iterable, Mapping

from hotserve.worker.errors import RequestError


class Auth:
    """Admits who shows one of some tokens.

    Args:
        tokens: with the names of their clients, which may be empty; None: everybody is admitted.
    """

    def __init__(self, tokens: Mapping[str, str] | None) -> None:
        self.use(tokens)

    def use(self, tokens: Mapping[str, str] | None) -> None:
        """From now on these count, and no others."""
        self._is_on = tokens is not None
        self._clients = [(token.encode("ascii"), name) for token, name in (tokens or {}).items()]

    def client(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The name of who sent these headers, `""` where it has none; None: it gets no answer."""
        return self._search(headers)[0] if self._is_on else ""

    def require(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The same, but raise 401 instead of None."""
        client, challenge = self._search(headers) if self._is_on else ("", b"")
        if client is None:
            raise RequestError(
                401,
                "this server answers to who has its token: send Authorization: Bearer <token>",
                (b"www-authenticate", challenge),
            )
        return client

    def _search(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, bytes]:
        """The client's name, or None and the value of WWW-Authenticate.

        Every token is compared, each in a time that does not depend on where it differs.
        """
        challenge = b"Bearer"
        for name, value in headers:
            if name == b"authorization":
                scheme, _, shown = value.partition(b" ")
                if scheme.lower() != b"bearer":
                    continue
                shown = shown.strip()
                for client in [c for t, c in self._clients if hmac.compare_digest(shown, t)]:
                    return client, b""
                challenge = b'Bearer error="invalid_token"'
        return None, challenge
