"""The model registry: versions, and stages that agree with aliases.

A stage is what the web page moves and what is served from; `Production` = `@production` and
`Staging` = `@staging` whenever this module sets them.
"""

import os
import warnings
from collections.abc import Sequence

from mlflow.entities.model_registry import ModelVersion
from mlflow.store.model_registry import SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD as MOST
from mlflow.tracking import MlflowClient

MODEL_NAME = os.environ.get("REGISTERED_MODEL_NAME") or "classificador-produtos"
"""The registered model that commands work on; in a class each student has one."""

STUDENT = "classroom.student"
"""The tag of a student's experiment and registered model."""

PRODUCTION = "Production"
STAGING = "Staging"

SERVED = (PRODUCTION, STAGING)
"""Stages that hold one version, which an alias names too."""

LONGEST_HISTORY = 50
"""Entries that are kept; those before are forgotten."""


def versions(client: MlflowClient, name: str = MODEL_NAME) -> list[ModelVersion]:
    """Every version of a registered model, oldest first."""
    quoted = name.replace("'", "\\'")
    # With fewer, MLflow gives those that were changed last: what is in Production might be missing.
    found = client.search_model_versions(f"name='{quoted}'", max_results=MOST)
    return sorted(found, key=lambda version: int(version.version))


def in_stage(client: MlflowClient, stage: str) -> ModelVersion | None:
    """The newest version in a stage."""
    there = [version for version in versions(client) if version.current_stage == stage]
    return there[-1] if there else None


def history(client: MlflowClient, stage: str) -> list[str]:
    """What was in a stage, oldest first, as `entry` writes each; the last one is there.

    A move in the web page is not in it, but a version that was moved since is seen not to be as it
    was left.
    """
    tags = client.get_registered_model(MODEL_NAME).tags
    return str(tags.get(f"history.{stage}", "")).split()


def entry(version: ModelVersion) -> str:
    """A version's number and when the registry last changed it, such as `2@1764000000000`."""
    return f"{version.version}@{int(version.last_updated_timestamp or 0)}"


def move(client: MlflowClient, version: ModelVersion, stage: str) -> None:
    """Put a version into `Production` or `Staging`, alone, and its alias with it.

    What was there before is kept as a tag of the version and in the stage's history, so that it
    can be rolled back. Doing it again changes nothing, so a move that was cut off half-way can be
    repeated.
    """
    before = in_stage(client, stage)
    entries = history(client, stage)
    if before is not None and before.version != version.version:
        client.set_model_version_tag(
            MODEL_NAME, version.version, f"before.{stage}", str(before.version)
        )
        entries = _with(entries, before)
    take_over(client, version, stage, entries)


def take_over(
    client: MlflowClient, version: ModelVersion, stage: str, entries: Sequence[str]
) -> None:
    """Put a version into a stage, alone, with its alias, as what comes after these entries."""
    leaving = {str(each.version) for each in versions(client) if each.current_stage == stage}
    _transition(client, version, stage)
    client.set_registered_model_alias(MODEL_NAME, stage.lower(), version.version)
    there = in_stage(client, stage)
    if there is not None and there.version != version.version:
        # Somebody else's move came between the two.
        client.set_registered_model_alias(MODEL_NAME, stage.lower(), there.version)
    other = STAGING if stage == PRODUCTION else PRODUCTION
    # Neither this version nor one that was archived just now is in the other stage.
    _remove_alias(client, other, leaving | {str(version.version)})
    entries = _with(entries, client.get_model_version(MODEL_NAME, version.version))
    kept = " ".join(entries[-LONGEST_HISTORY:])
    client.set_registered_model_tag(MODEL_NAME, f"history.{stage}", kept)


def _with(entries: Sequence[str], version: ModelVersion) -> list[str]:
    """A version is there, as it is now; if it is the last one already, it stays one entry."""
    is_last = any(last.startswith(f"{version.version}@") for last in entries[-1:])
    return [*(entries[:-1] if is_last else entries), entry(version)]


def retire(client: MlflowClient, version: ModelVersion, stage: str) -> None:
    """Put a version into `None` or `Archived`; the trainer's aliases leave it."""
    _transition(client, version, stage)
    for served in SERVED:
        _remove_alias(client, served, {str(version.version)})


def _transition(client: MlflowClient, version: ModelVersion, stage: str) -> None:
    with warnings.catch_warnings():
        # Deprecated, and still what the web page and `models:/name/Production` go by.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(
            MODEL_NAME, version.version, stage, archive_existing_versions=stage in SERVED
        )


def _remove_alias(client: MlflowClient, stage: str, numbers: set[str]) -> None:
    aliases = client.get_registered_model(MODEL_NAME).aliases
    if str(aliases.get(stage.lower())) in numbers:
        client.delete_registered_model_alias(MODEL_NAME, stage.lower())
