"""The model registry over MLflow's REST API: which version does a reference mean now?"""

import contextlib
import json
import math
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from hotserve.config.model_uri import ModelReference
from hotserve.config.proxies import proxy_for
from hotserve.config.registry_credentials import Connection

_API = "/api/2.0/mlflow"
_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
_MOST_METRICS = 100
_MOST_VERSIONS = 1000
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
_REFUSALS_OF_MLFLOW = (b"Invalid Host header", b"Permission denied")
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class RegistryUnavailable(Exception):
    """The registry gave no usable answer; the text says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version in the registry, or a model that no registry knows (`version` is empty then).

    Attributes:
        run_id, model_id: may be empty.
        created: milliseconds since the epoch; tells a version from one that was deleted and
            whose number was given again.
        content: digest of the files of a model that no registry knows, once they are here.
    """

    name: str
    version: str
    stage: str = ""
    aliases: tuple[str, ...] = ()
    run_id: str = ""
    model_id: str = ""
    source: str = ""
    created: int = 0
    status: str = "READY"
    content: str = ""

    @property
    def label(self) -> str:
        """What clients and logs call it: its number, else its run, logged model or content."""
        return self.version or self.run_id or self.model_id or self.content

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What must be equal for two of these to be the same model files."""
        return (self.name, self.version, self.source, self.created)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reference means now.

    Attributes:
        version: None if there is none; `reason` says why.
        others: numbers of other versions in the same stage.
    """

    version: ModelVersion | None
    reason: str = ""
    others: tuple[str, ...] = ()


class Registry:
    """Asks one registry; `connected` makes one."""

    def __init__(self, connection: Connection, session: aiohttp.ClientSession) -> None:
        self._connection = connection
        self._proxy = proxy_for(connection.url)
        self._session = session
        self._others: tuple[object, tuple[str, ...]] = None, ()

    async def resolve(self, reference: ModelReference) -> Resolution:
        """The version that `reference` means now; one request, two after a change in a stage.

        Several versions in a stage: the one with the highest number, as MLflow's own resolution.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        name, selector = reference.name, reference.selector
        changed = None
        if reference.kind == "alias":
            answer = await self._get("registered-models/alias", name=name, alias=selector)
            found = _versions(answer)
        elif reference.kind == "version":
            answer = await self._get("model-versions/get", name=name, version=selector)
            found = _versions(answer)
        else:
            answer = await self._get("registered-models/get", name=name)
            model = answer.get("registered_model", {})
            changed = model.get("last_updated_timestamp")
            found = [
                _with_aliases(_version(each), model.get("aliases", []))
                for each in model.get("latest_versions", [])
                if reference.kind == "latest" or each.get("current_stage") == selector
            ]
        if not found:
            return Resolution(None, _missing(reference, answer.get("error_code")))
        version = max(found, key=lambda each: int(each.version))
        if version.status != "READY":
            return Resolution(None, f"version {version.version} of '{name}' is {version.status}")
        others = await self._others_in_stage(version, changed) if reference.kind == "stage" else ()
        return Resolution(version, others=others)

    async def _others_in_stage(self, version: ModelVersion, changed: object) -> tuple[str, ...]:
        """Asked for only if the model was `changed` since, as it is a list of all its versions."""
        known = (version.identity, changed)
        if self._others[0] != known:
            quote = '"' if "'" in version.name else "'"
            query = {"filter": f"name = {quote}{version.name}{quote}"}
            with contextlib.suppress(RegistryUnavailable):
                answer = await self._get(
                    "model-versions/search", max_results=str(_MOST_VERSIONS), **query
                )
                numbers = [
                    str(each["version"])
                    for each in answer.get("model_versions", [])
                    if each.get("current_stage") == version.stage
                ]
                others = sorted({*numbers} - {version.version}, key=int)
                self._others = known, tuple(others)
        return self._others[1]

    async def refreshed(self, version: ModelVersion) -> ModelVersion:
        """The same version in the stage and with the aliases of now; in none if it was deleted.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        answer = await self._get("model-versions/get", name=version.name, version=version.version)
        for found in _versions(answer):
            if found.identity == version.identity:
                return found
        return replace(version, stage="", aliases=())

    async def run_metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run; none if the run is not there.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        answer = await self._get("runs/get", run_id=run_id)
        try:
            metrics = {m["key"]: float(m["value"]) for m in answer["run"]["data"]["metrics"]}
        except (KeyError, TypeError, ValueError):
            return {}
        finite = [(name, value) for name, value in sorted(metrics.items()) if math.isfinite(value)]
        return dict(finite[:_MOST_METRICS])

    async def _get(self, endpoint: str, **query: str) -> dict[str, Any]:
        """The JSON answer; of errors only those that say that something does not exist."""
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
        raise RegistryUnavailable(self._refusal(status, body, is_json=bool(answer)))

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


@contextlib.asynccontextmanager
async def connected(connection: Connection) -> AsyncIterator[Registry]:
    """A registry to ask until the end of the context."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=connection.tls, limit=2),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=connection.headers,
        timeout=_TIMEOUT,
        trust_env=True,
    ) as session:
        yield Registry(connection, session)


def _version(answer: Mapping[str, Any]) -> ModelVersion:
    source = answer.get("source", "")
    # A version made of a logged model has that model's URI as its source.
    model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else ""
    return ModelVersion(
        name=answer["name"],
        version=str(answer["version"]),
        stage=answer.get("current_stage", "None"),
        aliases=tuple(answer.get("aliases", ())),
        run_id=answer.get("run_id", ""),
        model_id=answer.get("model_id") or model_id,
        source=source,
        created=int(answer.get("creation_timestamp", 0)),
        status=answer.get("status", "READY"),
    )


def _versions(answer: Mapping[str, Any]) -> list[ModelVersion]:
    return [_version(answer["model_version"])] if "model_version" in answer else []


def _with_aliases(version: ModelVersion, aliases: list[Mapping[str, Any]]) -> ModelVersion:
    own = tuple(each["alias"] for each in aliases if str(each.get("version")) == version.version)
    return replace(version, aliases=own)


def _missing(reference: ModelReference, error_code: object) -> str:
    name = reference.name
    if reference.kind == "version":
        return f"there is no version {reference.selector} of '{name}' in the registry yet"
    if error_code == "RESOURCE_DOES_NOT_EXIST":
        return f"there is no registered model '{name}' in the registry yet"
    if reference.kind == "alias":
        return f"no version of '{name}' has the alias '{reference.selector}' yet"
    if reference.kind == "stage":
        return f"no version of '{name}' is in {reference.selector} yet"
    return f"'{name}' has no version yet"
