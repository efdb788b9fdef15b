"""MLflow's REST API: one question, one answer, and in words why there is none."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import aiohttp

from hotserve.config.proxies import proxy_for
from hotserve.config.registry_credentials import Connection

_API = "/api/2.0/mlflow"
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
_REFUSALS_OF_MLFLOW = (b"Invalid Host header", b"Permission denied")
_HELD = {
    *("registered_model", "model_version", "run"),
    *("registered_models", "model_versions", "next_page_token"),
}
"""Of these an answer has at least one."""
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class RegistryUnavailable(Exception):
    """The registry gave no usable answer; the text says why and holds no secret."""


class MlflowApi:
    """Asks one server."""

    def __init__(self, connection: Connection, session: aiohttp.ClientSession) -> None:
        self._connection = connection
        self._proxy = proxy_for(connection.url)
        self._session = session

    async def get(self, endpoint: str, **query: str) -> dict[str, Any]:
        """The JSON answer; of errors only those that say that something does not exist.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        url = f"{self._connection.url}{_API}/{endpoint}"
        try:
            async with self._session.get(url, params=query, allow_redirects=False) as response:
                status, body = response.status, await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise RegistryUnavailable(self._reason(error)) from None
        # An empty list is no key at all.
        may_be_empty = endpoint.endswith("/search")
        try:
            answer = json.loads(body)
            if not isinstance(answer, dict):
                raise ValueError("no object")
        except ValueError:
            answer, may_be_empty = {}, False
        if status == 200 and (answer.keys() & _HELD or (may_be_empty and not answer)):
            return answer
        if status in (400, 404) and answer.get("error_code") in _ABSENT:
            return answer
        raise RegistryUnavailable(self._refusal(status, body, is_json=bool(answer)))

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """What is read of an answer meanwhile may not be there, or be something else.

        Raises:
            RegistryUnavailable: it was.
        """
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            url = self._connection.url
            raise RegistryUnavailable(
                f"{url} does not answer like an MLflow server ({error!r})"
            ) from None

    def _refusal(self, status: int, body: bytes, *, is_json: bool) -> str:
        url, proxy = self._connection.url, self._proxy
        is_of_mlflow = is_json or any(text in body for text in _REFUSALS_OF_MLFLOW)
        if proxy and (status == 407 or (status == 403 and not is_of_mlflow)):
            return f"the proxy {proxy} refuses access to {url} ({status})"
        if status in (401, 403):
            return (
                f"{url} refuses access ({status}); check MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, and the server's "
                "--allowed-hosts"
            )
        through = f", through the proxy {proxy}" if proxy else ""
        return f"{url} does not answer like an MLflow server (status {status}{through})"

    def _reason(self, error: BaseException) -> str:
        url, proxy = self._connection.url, self._proxy
        if isinstance(error, TimeoutError):
            return f"{url} does not answer in time"
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return f"the proxy {proxy} refuses access to {url} ({error.status})"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return f"{url}: the certificate is not accepted"
        if isinstance(error, aiohttp.ClientConnectorSSLError):
            reason = getattr(error.os_error, "reason", None) or "no reason given"
            if reason in _NO_TLS:
                return f"{url} does not speak TLS; its address may have to begin with http://"
            return f"{url}: TLS failed ({reason})"
        asked = f"the proxy {proxy}" if proxy else url
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return f"{asked}: the host name is not known"
        if isinstance(error, aiohttp.ClientConnectorError):
            number = error.os_error.errno
            reason = os.strerror(number) if number else "no connection"
            return f"{asked} can't be reached ({reason})"
        return f"{url} broke the connection"
