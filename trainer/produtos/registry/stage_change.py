"""Moving versions between stages by command: what was there is remembered, and who moved it."""

import getpass
import os
from datetime import UTC, datetime

from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput
from produtos.language import tr
from produtos.registry import registry
from produtos.registry.reference import find
from produtos.registry.registry import MODEL_NAME, SERVED


def move(
    client: MlflowClient, version: ModelVersion, stage: str, reason: str, *, forced: bool = False
) -> None:
    """Put a version into a stage; stage and alias agree afterwards.

    What it replaces is archived. For a version that is there already, who moved it and why stays
    on record, unless there is a reason to add.

    Args:
        client: of the registry.
        version: which.
        stage: one of MLflow's four.
        reason: why, kept with who and when as tags of the version.
        forced: whether the verdict was against it.
    """
    stays = version.current_stage == stage
    (registry.move if stage in SERVED else registry.retire)(client, version, stage)
    if stays and not reason:
        return
    tags = {"to": stage, "reason": reason}
    if forced or not stays:
        tags["forced"] = "yes" if forced else "no"
    _set_tags(client, version, "promotion", tags)


def roll_back(
    client: MlflowClient, stage: str, reason: str, *, dry_run: bool = False
) -> tuple[ModelVersion, ModelVersion]:
    """Put back into a stage what was there before the version that is there now.

    Args:
        client: of the registry.
        stage: which.
        reason: why, kept with who and when as tags of both versions.
        dry_run: only see what would be done.

    Returns:
        The version that leaves, and the one that comes back.

    Raises:
        BadInput: the stage is empty, or nothing is known to have been there before.
    """
    if stage not in SERVED:
        raise BadInput(
            "--rollback --to {stage}: only Production and Staging can be rolled back", stage=stage
        )
    leaving = registry.in_stage(client, stage)
    if leaving is None:
        raise BadInput(
            "--rollback: no version is in {stage}; move one there with --version", stage=stage
        )
    entries = registry.history(client, stage)
    known = entries[-1:] == [registry.entry(leaving)]
    numbers = (each.partition("@")[0] for each in entries[-2::-1])
    before = next((number for number in numbers if number != str(leaving.version)), None)
    if before is None or not known:
        why = "" if known else tr(", which was moved or edited by hand since")
        hint = tr(" (--version {before} --force, perhaps)").format(before=before) if before else ""
        raise BadInput(
            "--rollback: it is not on record what was in {stage} before version "
            "{version}{why}; say which one to go back to with --version{hint}",
            stage=stage,
            version=leaving.version,
            why=why,
            hint=hint,
        )
    try:
        returning = find(client, before)
    except BadInput:
        raise BadInput(
            "--rollback: version {before}, which was in {stage} before version "
            "{version}, was deleted; say which one to go back to with --version",
            before=before,
            stage=stage,
            version=leaving.version,
        ) from None
    if dry_run:
        return leaving, returning
    why = tr("roll-back from version {version}").format(version=leaving.version) + (
        f": {reason}" if reason else ""
    )
    # Before the move: whoever repeats one that failed afterwards would go back one step more.
    _set_tags(client, leaving, "rolled_back", {"from": stage, "reason": reason})
    _set_tags(client, returning, "promotion", {"to": stage, "reason": why, "forced": "no"})
    # The history is as if the one that left had never been there: a second roll-back goes on.
    registry.take_over(client, returning, stage, entries[:-1])
    return leaving, returning


def _set_tags(
    client: MlflowClient, version: ModelVersion, topic: str, tags: dict[str, str]
) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for name, value in ({"by": _user(), "at": now} | tags).items():
        client.set_model_version_tag(MODEL_NAME, version.version, f"{topic}.{name}", value)


def _user() -> str:
    """The user that the tracking server knows, else the one of this machine."""
    known = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if known:
        return known
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user need not have a name.
        return f"uid {os.getuid()}"
