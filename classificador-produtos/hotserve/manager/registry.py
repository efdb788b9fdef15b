"""The model registry over MLflow's REST API: which version does a reference mean now?"""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Self

import aiohttp

from hotserve.config.model_uri import ModelReference
from hotserve.config.registry_credentials import Connection

_API = "/api/2.0/mlflow"
_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
_MOST_METRICS = 100
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class RegistryUnavailable(Exception):
    """The registry gave no usable answer; the text says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version as the registry tells it (`run_id`, `model_id` may be empty).

    Attributes:
        created: milliseconds since the epoch; tells a version from one that was deleted and
            whose number was given again.
    """

    name: str
    version: str
    stage: str
    aliases: tuple[str, ...]
    run_id: str
    model_id: str
    source: str
    created: int
    status: str

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What must be equal for two of these to be the same model files."""
        return (self.name, self.version, self.source, self.created)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; KeyError or TypeError if a field is missing."""
        return cls(**{**values, "aliases": tuple(values["aliases"])})


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reference means now: a version, or None and the reason in words."""

    version: ModelVersion | None
    reason: str = ""


class Registry:
    """Asks one registry; use as an async context manager."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._connection.tls, limit=2),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._connection.headers,
            timeout=_TIMEOUT,
            trust_env=True,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def resolve(self, reference: ModelReference) -> Resolution:
        """The version that `reference` means now, with one request.

        Several versions in a stage: the one with the highest number, as MLflow's own resolution.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        name = reference.name
        found: list[ModelVersion] = []
        if reference.kind in ("alias", "version"):
            if reference.kind == "alias":
                place, query = "registered-models/alias", {"alias": reference.selector}
            else:
                place, query = "model-versions/get", {"version": reference.selector}
            answer = await self._get(place, name=name, **query)
            if "model_version" in answer:
                found = [_version(answer["model_version"])]
        else:
            answer = await self._get("registered-models/get", name=name)
            model = answer.get("registered_model", {})
            found = [
                _with_aliases(_version(each), model.get("aliases", []))
                for each in model.get("latest_versions", [])
                if reference.kind == "latest" or each.get("current_stage") == reference.selector
            ]
        if not found:
            return Resolution(None, _missing(reference, absent_model=_is_absent_model(answer)))
        version = max(found, key=lambda each: int(each.version))
        if version.status != "READY":
            return Resolution(None, f"version {version.version} of '{name}' is {version.status}")
        return Resolution(version)

    async def run_metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run; none if the run is not there.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        answer = await self._get("runs/get", run_id=run_id)
        try:
            told = {m["key"]: float(m["value"]) for m in answer["run"]["data"]["metrics"]}
        except (KeyError, TypeError, ValueError):
            return {}
        finite = [(name, value) for name, value in sorted(told.items()) if math.isfinite(value)]
        return dict(finite[:_MOST_METRICS])

    async def _get(self, endpoint: str, **query: str) -> dict[str, Any]:
        """The JSON answer; of errors only those that say that something does not exist."""
        assert self._session is not None, "used outside of its context"
        url = f"{self._connection.url}{_API}/{endpoint}"
        try:
            async with self._session.get(url, params=query, allow_redirects=False) as response:
                status, body = response.status, await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise RegistryUnavailable(self._reason(error)) from None
        try:
            answer = json.loads(body)
            if not isinstance(answer, dict):
                raise ValueError("no object")
        except ValueError:
            answer = {}
        if status == 200 and answer:
            return answer
        if status in (400, 404) and answer.get("error_code") in _ABSENT:
            return answer
        if status in (401, 403):
            raise RegistryUnavailable(
                f"{self._connection.url} refuses access ({status}); check MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, and the server's "
                "--allowed-hosts"
            )
        raise RegistryUnavailable(
            f"{self._connection.url} does not answer like an MLflow server (status {status})"
        )

    def _reason(self, error: BaseException) -> str:
        url = self._connection.url
        if isinstance(error, asyncio.TimeoutError):
            return f"{url} does not answer in time"
        if isinstance(error, aiohttp.ClientSSLError):
            return f"{url}: the certificate is not accepted"
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return f"{url}: the host name is not known"
        if isinstance(error, aiohttp.ClientConnectorError):
            number = error.os_error.errno
            return f"{url} can't be reached ({os.strerror(number) if number else 'no connection'})"
        return f"{url} broke the connection"


def _version(answer: Mapping[str, Any]) -> ModelVersion:
    return ModelVersion(
        name=answer["name"],
        version=str(answer["version"]),
        stage=answer.get("current_stage", "None"),
        aliases=tuple(answer.get("aliases", ())),
        run_id=answer.get("run_id", ""),
        model_id=answer.get("model_id") or _model_id(answer.get("source", "")),
        source=answer.get("source", ""),
        created=int(answer.get("creation_timestamp", 0)),
        status=answer.get("status", "READY"),
    )


def _model_id(source: str) -> str:
    # A version made of a logged model has that model's URI as its source.
    return source.removeprefix("models:/") if source.startswith("models:/m-") else ""


def _with_aliases(version: ModelVersion, aliases: list[Mapping[str, Any]]) -> ModelVersion:
    own = tuple(each["alias"] for each in aliases if str(each.get("version")) == version.version)
    return replace(version, aliases=own)


def _is_absent_model(answer: Mapping[str, Any]) -> bool:
    return answer.get("error_code") == "RESOURCE_DOES_NOT_EXIST"


def _missing(reference: ModelReference, *, absent_model: bool) -> str:
    name = reference.name
    if reference.kind == "version":
        return f"there is no version {reference.selector} of '{name}' in the registry yet"
    if absent_model:
        return f"there is no registered model '{name}' in the registry yet"
    if reference.kind == "alias":
        return f"no version of '{name}' has the alias '{reference.selector}' yet"
    if reference.kind == "stage":
        return f"no version of '{name}' is in {reference.selector} yet"
    return f"'{name}' has no version yet"
