"""Hands a request to a model's server process and brings back its answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp

from hotserve.target import Target

Headers = list[tuple[bytes, bytes]]

# Of one connection only (RFC 9110, 7.6.1), or made anew on the other side.
_OWN_TO_CONNECTION = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
_NOT_FORWARDED = _OWN_TO_CONNECTION | frozenset(
    b"host content-length content-type expect accept-encoding authorization cookie".split()
)
_NOT_RETURNED = _OWN_TO_CONNECTION | frozenset(b"content-length date server".split())

IDLE_SECONDS = 4.0
"""Below the 5 s after which uvicorn closes a connection, so that few are found closed."""


class Gone(Exception):
    """No answer: the connection was closed, or nobody listens there (`refused`)."""

    def __init__(self, *, refused: bool) -> None:
        super().__init__()
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the server process."""

    status: int
    headers: Headers
    body: bytes


class Forwarder:
    """A pool of connections to the server processes on the loopback.

    Args:
        timeout: seconds for one request.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=IDLE_SECONDS, resolver=_NoResolver()
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def post(
        self,
        target: Target,
        content_type: bytes,
        body: bytes,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> Answer:
        """POST to `/invocations` of `target`.

        A prediction changes nothing, so a request that found its connection closed is sent again.

        Raises:
            Gone: no process answers there.
            TimeoutError: it did not answer in time.
        """
        url = f"http://127.0.0.1:{target.port}/invocations"
        sent = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in headers
            if name not in _NOT_FORWARDED
        ]
        sent.append(("Content-Type", content_type.decode("latin-1")))
        for last_try in (False, True):
            try:
                async with self._session.post(url, data=body, headers=sent) as response:
                    answer = await response.read()
                    returned = [
                        (name.lower(), value)
                        for name, value in response.raw_headers
                        if name.lower() not in _NOT_RETURNED
                    ]
                    return Answer(response.status, returned, answer)
            except TimeoutError:
                raise TimeoutError from None
            except aiohttp.ClientConnectorError:
                raise Gone(refused=True) from None
            except (aiohttp.ClientError, OSError):
                if last_try:
                    raise Gone(refused=False) from None
        raise AssertionError("unreachable")


class _NoResolver(aiohttp.abc.AbstractResolver):
    """Addresses are numbers here; aiohttp's own resolver would start threads."""

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002
        family: int = 0,  # noqa: ARG002
    ) -> list[aiohttp.abc.ResolveResult]:
        raise OSError(f"not an address: {host}")

    async def close(self) -> None:
        pass
