"""Back to the first version: the registry and the runs as they were when it was registered."""

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from produtos.errors import BadInput
from produtos.registry import registry
from produtos.registry.registry import MODEL_NAME, STUDENT

FIRST = "1"
ASIDE = f"{MODEL_NAME}-reset"
"""The registered model that has the version until the one in its place is whole."""

MARKS = ("promotion.", "rolled_back.", "before.")
"""Tags of a version about its moves begin with one of these."""


def find(client: MlflowClient) -> ModelVersion:
    """The first version, also if an earlier reset was cut off half-way.

    Raises:
        BadInput: there is none, or it was deleted.
    """
    for name in (ASIDE, MODEL_NAME):
        for version in registry.versions(client, name):
            if str(version.version) == FIRST:
                return version
    raise BadInput(
        "there is no version 1 of {name} to go back to: leave VERSION out to begin anew",
        name=MODEL_NAME,
    )


def later_runs(client: MlflowClient, version: ModelVersion) -> list[str]:
    """IDs of the runs that began after a version was registered.

    Those of a student, for a student's model; else of every experiment that is no student's.
    """
    began = f"attributes.start_time > {version.creation_timestamp}"
    found = mlflow.search_runs(_experiments(client), began, output_format="list")
    return [run.info.run_id for run in found]


def restore(client: MlflowClient, version: ModelVersion) -> None:
    """Leave the version alone in the registry and in Production, and delete all later runs.

    Experiments stay, and other registered models. The version is registered again, since MLflow
    never gives a version's number to another one: the next is 2 again. It can be repeated if it was
    cut off.
    """
    for run_id in later_runs(client, version):
        client.delete_run(run_id)
    made = f"creation_timestamp > {version.creation_timestamp}"
    while models := client.search_logged_models(_experiments(client), made):
        for model in models:
            client.delete_logged_model(model.model_id)
    if version.name == MODEL_NAME:
        version = _copy(client, version, ASIDE)
    registry.move(client, _copy(client, version, MODEL_NAME), registry.PRODUCTION)
    client.delete_registered_model(ASIDE)


def _copy(client: MlflowClient, version: ModelVersion, name: str) -> ModelVersion:
    """The version as the first of a registered model of that name, in place of one that is there.

    Not a model with another name: on MySQL, MLflow can't rename one that has versions.
    """
    model = client.get_registered_model(version.name)
    if client.search_registered_models(f"name='{name}'"):
        client.delete_registered_model(name)
    tags = {k: v for k, v in model.tags.items() if not k.startswith("history.")}
    client.create_registered_model(name, tags, model.description)
    source = str(version.source)
    # The registry gives it back only as part of the source, and wants both.
    model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None
    return client.create_model_version(
        name,
        source,
        version.run_id or None,
        {k: v for k, v in version.tags.items() if not k.startswith(MARKS)},
        description=version.description,
        model_id=model_id,
    )


def _experiments(client: MlflowClient) -> list[str]:
    found = client.search_experiments()
    own = [each for each in found if each.name == MODEL_NAME and STUDENT in each.tags]
    others = [each for each in found if STUDENT not in each.tags]
    return [each.experiment_id for each in own or others]
