"""Which registered version somebody means by `2`, `production`, `@champion` or `models:/…`."""

from contextlib import suppress
from dataclasses import dataclass

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.entities.model_registry.model_version_stages import ALL_STAGES, STAGE_NONE
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput, without_secrets
from produtos.language import tr
from produtos.registry import registry
from produtos.registry.registry import MODEL_NAME
from produtos.runs.tracking import SET_IT
from produtos.text import normal_form


@dataclass(frozen=True)
class ModelReference:
    """One version of a registered model.

    Attributes:
        name: the registered model's name.
        version: the version's number.
        stage: the stage it is in.
    """

    name: str
    version: str
    stage: str

    @property
    def uri(self) -> str:
        """The same version for ever, whatever is promoted meanwhile."""
        return f"models:/{self.name}/{self.version}"

    def __str__(self) -> str:
        stage = f" ({self.stage})" if self.stage != STAGE_NONE else ""
        return tr("{name} version {version}{stage}").format(
            name=self.name, version=self.version, stage=stage
        )


def resolve(client: MlflowClient, asked: str) -> ModelReference:
    """The version that is meant now.

    Args:
        client: of the registry.
        asked: a version's number, a stage in any case, an alias (with `@` in front when a stage
            has the same name), or a `models:/name/…` address of any registered model. Several
            versions in one stage: the newest.

    Raises:
        BadInput: there is no such version, stage or alias, or it is none of these.
    """
    version = find(client, asked)
    return ModelReference(version.name, str(version.version), str(version.current_stage))


def find(client: MlflowClient, asked: str) -> ModelVersion:
    """As `resolve`, with all that the registry says of the version."""
    written = asked.strip()
    name, number, stage, alias = _parse(written)
    there = _versions(client, name)
    missing = tr("{name} has no stage or alias {stage}").format(name=name, stage=stage or alias)
    if number is not None:
        found = [each for each in there if str(each.version) == number]
        missing = tr("{name} has no version {number}").format(name=name, number=number)
    elif stage is not None:
        found = [each for each in there if str(each.current_stage) == stage]
        if stage_named(stage):
            missing = tr("no version of {name} is in {stage}").format(name=name, stage=stage)
    elif alias is not None:
        aliases = client.get_registered_model(name).aliases
        found = [each for each in there if str(each.version) == str(aliases.get(alias))]
        alike = [each for each in aliases if normal_form(each) == normal_form(alias)]
        if alike not in ([], [alias]):
            listed = ", ".join(
                tr("{each} (version {aliases})").format(each=each, aliases=aliases[each])
                for each in sorted(alike)
            )
            missing += tr(", but {listed}").format(listed=listed)
            if len({str(aliases[each]) for each in alike}) > 1:
                raise BadInput(
                    "model {written}: aliases of {name} differ in upper and lower case only: "
                    "{listed}; give the version's number, or delete one of them",
                    written=written,
                    name=name,
                    listed=listed,
                )
    else:
        found = there
    if not found:
        raise BadInput(
            "model {written}: {missing}; {list}",
            written=written,
            missing=missing,
            list=_list(there),
        )
    return found[-1]


def stage_named(written: str) -> str | None:
    """The stage as MLflow spells it, or nothing when there is none of that name."""
    return {stage.casefold(): stage for stage in ALL_STAGES}.get(written.strip().casefold())


def _parse(written: str) -> tuple[str, str | None, str | None, str | None]:
    """Name, version, stage and alias; of the last three at most one."""
    address = written
    if not written.startswith("models:"):
        if not written or "/" in written or ":" in written:
            raise BadInput(
                "model {written}: give a version's number, a stage, an alias, or a models:/ "
                "address",
                written=written or tr("(empty)"),
            )
        number = written.isascii() and written.isdigit()
        mark = "/" if number or stage_named(written) else "@"
        address = f"models:/{MODEL_NAME}{mark}{written.removeprefix('@')}"
    with suppress(MlflowException):
        parsed = _parse_model_uri(address)
        if parsed.name:
            version = str(int(parsed.version)) if parsed.version else None
            stage = stage_named(parsed.stage) or parsed.stage if parsed.stage else None
            return parsed.name, version, stage, parsed.alias
    raise BadInput(
        "model {written}: not the address of a registered version; write it as "
        "models:/name/version, models:/name/stage or models:/name@alias",
        written=written,
    )


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    try:
        found = registry.versions(client, name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        found = []
    if not found:
        raise BadInput(
            "model {name}: no version is registered under this name; train and register "
            "one first (looked in {registry}; if that is not the place, {remedy})",
            name=name,
            registry=without_secrets(mlflow.get_registry_uri()),
            remedy=SET_IT,
        )
    return found


def _list(there: list[ModelVersion]) -> str:
    shown = ", ".join(f"{each.version} ({each.current_stage})" for each in there[-8:])
    listed = f"{'…, ' if len(there) > 8 else ''}{shown}"
    one = len(there) == 1
    return (tr("there is: {listed}") if one else tr("there are: {listed}")).format(listed=listed)
