"""Who may ask: bearer tokens (RFC 6750), where there are any."""

from __future__ import annotations

import hmac
from collections.abc import Iterable


class Access:
    """Lets those in who show one of some tokens.

    Args:
        tokens: at least one.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.admit(tokens)

    def admit(self, tokens: Iterable[str]) -> None:
        """From now on these count, and no others."""
        self._tokens = [token.encode("ascii") for token in tokens]

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """None for who may ask; for others the value of WWW-Authenticate.

        Every token is compared, each in a time that does not tell where it differs.
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
