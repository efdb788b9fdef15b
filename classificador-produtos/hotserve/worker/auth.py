"""Who may ask: bearer tokens (RFC 6750), where there are any."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from hotserve.worker.errors import RequestError


class Auth:
    """Admits who shows one of some tokens; without tokens, everybody."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self.use(tokens)

    def use(self, tokens: Iterable[str]) -> None:
        """From now on these count, and no others."""
        self._tokens = [token.encode("ascii") for token in tokens]

    def allows(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request with these headers may be answered."""
        return not self._tokens or self._challenge(headers) is None

    def require(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise 401 where `allows` is false."""
        challenge = self._challenge(headers) if self._tokens else None
        if challenge is not None:
            raise RequestError(
                401,
                "this server answers to who has its token: send Authorization: Bearer <token>",
                (b"www-authenticate", challenge),
            )

    def _challenge(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """The value of WWW-Authenticate; None for who may ask.

        Every token is compared, each in a time that does not depend on where it differs.
        """
        challenge = b"Bearer"
        for name, value in headers:
            if name == b"authorization":
                scheme, _, shown = value.partition(b" ")
                if scheme.lower() != b"bearer":
                    continue
                shown = shown.strip()
                if sum(hmac.compare_digest(shown, token) for token in self._tokens):
                    return None
                challenge = b'Bearer error="invalid_token"'
        return challenge
