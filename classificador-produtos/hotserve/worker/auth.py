"""Who may ask: bearer tokens (RFC 6750), where there are any."""

import hmac
from collections.abc import Iterable, Mapping

from hotserve.config.tokens import Client
from hotserve.worker.errors import RequestError

ANYBODY = Client()


class Auth:
    """Admits who shows one of some tokens.

    Args:
        tokens: with who has each; None: everybody is admitted.
    """

    def __init__(self, tokens: Mapping[str, Client] | None) -> None:
        self.use(tokens)

    def use(self, tokens: Mapping[str, Client] | None) -> None:
        """From now on these count, and no others."""
        self._is_on = tokens is not None
        self._clients = [(token.encode("ascii"), who) for token, who in (tokens or {}).items()]

    def client(self, headers: Iterable[tuple[bytes, bytes]], model: str) -> Client | None:
        """Who sent these headers to a model, if it gets an answer."""
        if not self._is_on:
            return ANYBODY
        client = self._search(headers)[0]
        return client if client is not None and client.may_ask(model) else None

    def require(self, headers: Iterable[tuple[bytes, bytes]], model: str) -> Client:
        """The same, but raise 401 or 403 instead of None; an empty name is no model's."""
        client, challenge = self._search(headers) if self._is_on else (ANYBODY, b"")
        if client is None:
            raise RequestError(
                401,
                "this server answers to who has its token: send Authorization: Bearer <token>",
                (b"www-authenticate", challenge),
            )
        if model and not client.may_ask(model):
            raise RequestError(403, f"this token is not good for the model '{model}'")
        return client

    def _search(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[Client | None, bytes]:
        """The client, or None and the value of WWW-Authenticate.

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
