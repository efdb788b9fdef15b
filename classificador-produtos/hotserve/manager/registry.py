"""The model registry over MLflow's REST API: which version does a reference mean now?"""

import contextlib
import math
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from hotserve.config.model_uri import ModelReference
from hotserve.config.registry_credentials import Connection
from hotserve.manager.mlflow_api import MlflowApi, RegistryUnavailable

_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
_MOST_METRICS = 100
_MOST_VERSIONS = 1000
_MOST_MODELS = 1000
"""Of one answer, as MLflow gives them; there may be more answers."""


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
        changed: another value when the registered model was changed; None where that is not known.
    """

    version: ModelVersion | None
    reason: str = ""
    others: tuple[str, ...] = ()
    changed: object = None


class Registry:
    """Asks one registry; `connected` makes one."""

    def __init__(self, api: MlflowApi) -> None:
        self._api = api
        self._others: dict[str, tuple[object, tuple[str, ...]]] = {}
        self._with_alias: dict[str, tuple[object, list[ModelVersion]]] = {}

    async def resolve(self, reference: ModelReference) -> Resolution:
        """The version that `reference` means now; one request, two after a change in a stage.

        Several versions in a stage: the one with the highest number, as MLflow's own resolution.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        name, selector = reference.name, reference.selector
        with self._api.reading():
            if reference.kind == "alias":
                answer = await self._api.get("registered-models/alias", name=name, alias=selector)
                found = _versions(answer)
            elif reference.kind == "version":
                answer = await self._api.get("model-versions/get", name=name, version=selector)
                found = _versions(answer)
            else:
                answer = await self._api.get("registered-models/get", name=name)
                if "registered_model" in answer:
                    resolution = await self._of_model(reference, answer["registered_model"])
                    return replace(resolution, changed=None)
                found = []
            return _resolution(reference, found, answer.get("error_code"))

    async def search(self, pattern: ModelReference) -> dict[str, Resolution]:
        """What `pattern` means now, by the names of the registered models that match it.

        One request for each thousand of them, and one more for each stage or alias that was moved
        since the last call.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        found: dict[str, Resolution] = {}
        query = {"max_results": str(_MOST_MODELS)}
        if like := _like(pattern.name):
            query["filter"] = f"name LIKE '{like}'"
        while True:
            answer = await self._api.get("registered-models/search", **query)
            with self._api.reading():
                for model in answer.get("registered_models", []):
                    name = model["name"]
                    if pattern.matches(name):
                        found[name] = await self._of_model(pattern.of(name), model)
            if not answer.get("next_page_token"):
                break
            query["page_token"] = answer["next_page_token"]
        for known in (self._others, self._with_alias):
            for gone in known.keys() - found.keys():
                del known[gone]
        return found

    async def _of_model(self, reference: ModelReference, model: Mapping[str, Any]) -> Resolution:
        """What a stage, an alias or `latest` of a registered model, as MLflow lists it, means."""
        changed = model.get("last_updated_timestamp")
        latest = [
            _with_aliases(_version(each), model.get("aliases", []))
            for each in model.get("latest_versions", [])
        ]
        if reference.kind == "alias":
            found = await self._versions_with_alias(reference, model, latest)
        elif reference.kind == "stage":
            found = [each for each in latest if each.stage == reference.selector]
        else:
            found = latest
        resolution = _resolution(reference, found)
        version = resolution.version
        others: tuple[str, ...] = ()
        if version is not None and reference.kind == "stage":
            others = await self._others_in_stage(version, changed)
        return replace(resolution, others=others, changed=changed)

    async def _versions_with_alias(
        self, reference: ModelReference, model: Mapping[str, Any], latest: list[ModelVersion]
    ) -> list[ModelVersion]:
        """Asked for only if it is none of the `latest` ones, and something was changed since."""
        name, alias = reference.name, reference.selector
        aliases = model.get("aliases", [])
        number = next((str(each["version"]) for each in aliases if each["alias"] == alias), None)
        if number is None:
            return []
        found = [version for version in latest if version.version == number]
        if found:
            return found
        key = (number, model.get("last_updated_timestamp"))
        if self._with_alias.get(name, ("", []))[0] != key:
            answer = await self._api.get("registered-models/alias", name=name, alias=alias)
            self._with_alias[name] = key, _versions(answer)
        return [_with_aliases(version, aliases) for version in self._with_alias[name][1]]

    async def _others_in_stage(self, version: ModelVersion, changed: object) -> tuple[str, ...]:
        """Asked for only if the model was `changed` since, as it is a list of all its versions."""
        known = (version.identity, changed)
        before = self._others.get(version.name, (None, ()))
        if before[0] != known:
            quote = '"' if "'" in version.name else "'"
            query = {"filter": f"name = {quote}{version.name}{quote}"}
            with contextlib.suppress(RegistryUnavailable):
                answer = await self._api.get(
                    "model-versions/search", max_results=str(_MOST_VERSIONS), **query
                )
                numbers = [
                    str(each["version"])
                    for each in answer.get("model_versions", [])
                    if each.get("current_stage") == version.stage
                ]
                others = sorted({*numbers} - {version.version}, key=int)
                before = self._others[version.name] = known, tuple(others)
        return before[1]

    async def refreshed(self, version: ModelVersion) -> ModelVersion:
        """The same version in the stage and with the aliases of now; in none if it was deleted.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        answer = await self._api.get(
            "model-versions/get", name=version.name, version=version.version
        )
        with self._api.reading():
            for found in _versions(answer):
                if found.identity == version.identity:
                    return found
        return replace(version, stage="", aliases=())

    async def run_metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run; none if the run is not there.

        Raises:
            RegistryUnavailable: no usable answer; try again later.
        """
        answer = await self._api.get("runs/get", run_id=run_id)
        try:
            metrics = {m["key"]: float(m["value"]) for m in answer["run"]["data"]["metrics"]}
        except (KeyError, TypeError, ValueError):
            return {}
        finite = [(name, value) for name, value in sorted(metrics.items()) if math.isfinite(value)]
        return dict(finite[:_MOST_METRICS])


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
        yield Registry(MlflowApi(connection, session))


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


def _resolution(
    reference: ModelReference, found: list[ModelVersion], error_code: object = None
) -> Resolution:
    if not found:
        return Resolution(None, _missing(reference, error_code))
    version = max(found, key=lambda each: int(each.version))
    if version.status != "READY":
        return Resolution(
            None, f"version {version.version} of '{version.name}' is {version.status}"
        )
    return Resolution(version)


def _like(pattern: str) -> str:
    """A pattern of names in SQL, which finds those that match and maybe others; empty: all."""
    # What a filter can't say as it is stands for any character.
    like = re.sub(r"[^a-zA-Z0-9. *-]", "_", pattern).replace("*", "%")
    return "" if like.strip("%") == "" else like


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
