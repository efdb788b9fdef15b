"""What `-m` names: a stage, an alias, a version … of a registered model, or files elsewhere.

A `*` in a registered model's name stands for any text: every model that matches is meant.
"""

import functools
import os
import re
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hotserve.config.errors import UsageError
from hotserve.redaction import without_secrets

Kind = Literal["stage", "alias", "latest", "version", "logged_model", "path", "remote"]

STAGES = ("None", "Staging", "Production", "Archived")
"""MLflow's stages, in its own spelling; it takes them in any."""

_ANY = "*"
_LOGGED = "m-"
"""What the id of a logged model begins with."""

_REMOTE_SCHEMES = frozenset(
    {"runs", "mlflow-artifacts", "http", "https", "s3", "r2", "b2", "gs", "wasb", "wasbs"}
    | {"abfs", "abfss", "dbfs", "hdfs", "viewfs", "ftp", "sftp"}
)


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model URI, read.

    Attributes:
        uri: as given.
        kind: what it names; `stage`, `alias`, `latest` and `version` lie in the registry.
        name: the registered model, or what to call the model in messages and answers.
        selector: the stage (canonical spelling), alias or version number, or the folder of a
            local model; empty otherwise.
    """

    uri: str
    kind: Kind
    name: str
    selector: str = ""

    @property
    def in_registry(self) -> bool:
        """Whether the registry says which version is meant."""
        return self.kind in ("stage", "alias", "latest", "version")

    @property
    def is_pattern(self) -> bool:
        """Whether it means every registered model whose name matches."""
        return self.in_registry and _ANY in self.name

    def matches(self, name: str) -> bool:
        """Whether it means the registered model of that name."""
        return matches(self.name, name)

    def of(self, name: str) -> "ModelReference":
        """The same stage, alias … of one of the models that a pattern means."""
        means = f"@{self.selector}" if self.kind == "alias" else f"/{self.selector or 'latest'}"
        return replace(self, uri=f"models:/{name}{means}", name=name)

    def beside(self, selector: str) -> "ModelReference | None":
        """Another stage or `@alias` of the same model; None where it is not one registered model.

        Raises:
            UsageError: `selector` is neither.
        """
        if not selector or self.is_pattern or not self.in_registry:
            return None
        return parse(f"models:/{self.name}{'' if selector.startswith('@') else '/'}{selector}")

    @property
    def shown(self) -> str | None:
        """The URI, where it can be shown to anybody: a path or a bucket is private."""
        return self.uri if self.kind not in ("path", "remote") else None

    @property
    def identity(self) -> str:
        """What tells it from every other model of the same name on the same server."""
        if self.in_registry:
            return self.name
        return self.selector or self.uri

    @property
    def run_id(self) -> str:
        """The run of `runs:/…`; empty otherwise."""
        parts = urllib.parse.urlsplit(self.uri)
        return parts.path.strip("/").partition("/")[0] if parts.scheme == "runs" else ""

    @property
    def path(self) -> Path | None:
        """The folder of a local model."""
        return Path(self.selector) if self.kind == "path" else None

    def describe(self) -> str:
        """The reference in words: `Production`, `@champion`, `latest`; empty if it can't move."""
        if self.kind == "alias":
            return f"@{self.selector}"
        if self.kind == "stage":
            return self.selector
        return "latest" if self.kind == "latest" else ""


@functools.lru_cache(1000)
def matches(pattern: str, name: str) -> bool:
    """Whether a model's name matches a pattern, in which `*` is any text."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split(_ANY))), name, re.DOTALL) is not None


def parse(uri: str) -> ModelReference:
    """Read a model URI as MLflow does.

    Raises:
        UsageError: with one line that says what is wrong.
    """
    scheme = urllib.parse.urlsplit(uri).scheme.lower()
    if scheme == "models":
        return _parse_models(uri)
    if scheme in ("", "file"):
        return _parse_path(uri, scheme)
    if scheme in _REMOTE_SCHEMES:
        parts = urllib.parse.urlsplit(uri)
        name = parts.path.rstrip("/").rpartition("/")[2] or parts.hostname or scheme
        return ModelReference(uri, "remote", name)
    raise UsageError(
        f"'{without_secrets(uri)}' is not a model URI: '{scheme}:' is unknown; "
        "use models:/<name>/<stage or version>, models:/<name>@<alias>, runs:/…, s3://… or a folder"
    )


def _parse_models(uri: str) -> ModelReference:
    parts = urllib.parse.urlsplit(uri, allow_fragments=False)
    if parts.netloc:
        raise UsageError(f"'{uri}' names another registry ('{parts.netloc}'); {_FORMS}")
    pieces = parts.path.lstrip("/").split("/")
    if not parts.path.startswith("/") or len(pieces) > 2 or not all(p.strip() for p in pieces):
        raise UsageError(f"'{uri}' is not a proper models:/ URI; {_FORMS}")
    if len(pieces) == 2:
        return _parse_suffix(uri, *pieces)
    name, at, alias = pieces[0].rpartition("@")
    if not at:
        if not pieces[0].startswith(_LOGGED) or _ANY in pieces[0]:
            raise UsageError(f"'{uri}' names no stage, alias or version; {_FORMS}")
        return ModelReference(uri, "logged_model", pieces[0])
    if not name.strip() or not alias.strip():
        raise UsageError(f"'{uri}' is not a proper models:/ URI; {_FORMS}")
    return ModelReference(uri, "alias", name, alias)


_FORMS = (
    "use models:/<name>/<stage>, models:/<name>@<alias>, models:/<name>/latest "
    "or models:/<name>/<version>"
)


def _parse_suffix(uri: str, name: str, suffix: str) -> ModelReference:
    if suffix.isdecimal():
        if _ANY in name:
            raise UsageError(
                f"'{uri}': '{name}' means several models, and no version number is right for all; "
                f"use models:/{name}/<stage>, models:/{name}@<alias> or models:/{name}/latest"
            )
        return ModelReference(uri, "version", name, str(int(suffix)))
    if suffix.lower() == "latest":
        return ModelReference(uri, "latest", name)
    for stage in STAGES:
        if suffix.lower() == stage.lower():
            return ModelReference(uri, "stage", name, stage)
    raise UsageError(
        f"'{uri}': '{suffix}' is no stage ({', '.join(STAGES)}), no version number and not "
        f"'latest'; an alias is written models:/{name}@{suffix}"
    )


def _parse_path(uri: str, scheme: str) -> ModelReference:
    if scheme == "file":
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(uri).path))
    else:
        path = Path(uri).expanduser()
    path = Path(os.path.abspath(path))
    if not (path / "MLmodel").is_file():
        raise UsageError(f"'{uri}' is not a folder with an MLflow model (no MLmodel file in it)")
    return ModelReference(uri, "path", path.name, str(path))
