"""Which registered version somebody means by `2`, `production`, `@champion` or `models:/…`."""

from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput
from produtos.registry.registry import MODEL_NAME
from produtos.runs import tracking

STAGES = ("None", "Staging", "Production", "Archived")
"""MLflow's own, as it spells them."""


@dataclass(frozen=True)
class ModelReference:
    """One version of a registered model.

    Attributes:
        asked: what the user wrote, without a leading `@`.
        name: the registered model's name.
        version: the version's number.
        run_id: the run that trained it; empty when it came from elsewhere.
        stage: the stage it is in.
    """

    asked: str
    name: str
    version: str
    run_id: str
    stage: str

    @property
    def uri(self) -> str:
        """The same version for ever, whatever is promoted meanwhile."""
        return f"models:/{self.name}/{self.version}"

    def __str__(self) -> str:
        place = f" ({self.stage})" if self.stage in STAGES[1:] else ""
        return f"{self.name} version {self.version}{place}"


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
    written = asked.strip()
    name, version, stage, alias = _parse(written)
    there = _versions(client, name)
    if version is not None:
        found = [each for each in there if each.version == version]
    elif stage is not None:
        found = [each for each in there if str(each.current_stage) == stage]
    elif alias is not None:
        number = client.get_registered_model(name).aliases.get(alias)
        found = [each for each in there if each.version == str(number)]
    else:
        found = there
    if not found:
        raise BadInput(f"model {written}: {_missing(name, version, stage, alias)}; {_list(there)}")
    newest = found[-1]
    return ModelReference(
        asked=written.removeprefix("@"),
        name=name,
        version=str(newest.version),
        run_id=newest.run_id or "",
        stage=str(newest.current_stage),
    )


def stage_named(written: str) -> str | None:
    """The stage as MLflow spells it, or nothing when there is none of that name."""
    return {stage.casefold(): stage for stage in STAGES}.get(written.strip().casefold())


def _parse(written: str) -> tuple[str, str | None, str | None, str | None]:
    """Name, version, stage and alias; of the last three at most one."""
    if written.startswith("models:"):
        try:
            parsed = _parse_model_uri(written)
        except MlflowException:
            parsed = None
        if parsed is None or parsed.name is None:
            raise BadInput(
                f"model {written}: not the address of a registered version; write it as "
                "models:/name/version, models:/name/stage or models:/name@alias"
            )
        stage = stage_named(parsed.stage) or parsed.stage if parsed.stage else None
        return parsed.name, parsed.version, stage, parsed.alias
    if not written or "/" in written or ":" in written:
        raise BadInput(
            f"model {written or '(empty)'}: give a version's number, a stage, an alias, or a "
            "models:/ address"
        )
    if written.isascii() and written.isdigit():
        return MODEL_NAME, str(int(written)), None, None
    if stage := stage_named(written):
        return MODEL_NAME, None, stage, None
    return MODEL_NAME, None, None, written.removeprefix("@")


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    quoted = name.replace("'", "\\'")
    try:
        found = list(client.search_model_versions(f"name='{quoted}'", max_results=1000))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            found = []
        else:
            raise
    if not found:
        raise BadInput(
            f"model {name}: no version is registered under this name; train and register one "
            f"first ({tracking.looked_in()})"
        )
    return sorted(found, key=lambda each: int(each.version))


def _missing(name: str, version: str | None, stage: str | None, alias: str | None) -> str:
    if version is not None:
        return f"{name} has no version {version}"
    if stage is not None and stage_named(stage):
        return f"no version of {name} is in {stage}"
    return f"{name} has no stage or alias {stage or alias}"


def _list(there: list[ModelVersion]) -> str:
    shown = ", ".join(f"{each.version} ({each.current_stage})" for each in there[-8:])
    return f"there {'is' if len(there) == 1 else 'are'}: {'…, ' if len(there) > 8 else ''}{shown}"
