"""Which version is served next: the first of all, or one that is no worse on the hold-out."""

from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion

from produtos.data.dataset import Dataset
from produtos.data.split import holdout_digest, holdout_of
from produtos.errors import in_one_line
from produtos.parameters import YES, yes_or_no
from produtos.registry import registry
from produtos.registry.version_answers import answers_of
from produtos.runs.outcome import HOLDOUT_DIGEST, Outcome
from produtos.runs.tracking import Tracker

INCLUDE_NAMES = "include_names"


@dataclass(frozen=True)
class Placed:
    """Where a version went.

    Attributes:
        version: the version's number.
        stage: `Production` or `Staging`.
        note: why, when it is not where it was wanted; else empty.
    """

    version: str
    stage: str
    note: str = ""


def register(
    tracker: Tracker, dataset: Dataset, outcome: Outcome, tags: dict[str, str]
) -> ModelVersion:
    """Make a version of a run's model, with the figures that it is compared by as tags."""
    figures = {name: f"{value:.6f}" for name, value in outcome.metrics.items()}
    told = {
        HOLDOUT_DIGEST: holdout_digest(holdout_of(dataset)),
        INCLUDE_NAMES: yes_or_no(outcome.parameters.include_names),
    }
    description = (
        f"{outcome.parameters.classifier}, {outcome.parameters.run_name()}: "
        f"acuracia_holdout {outcome.metrics['acuracia_holdout']:.4f}"
    )
    return registry.register(tracker.client, outcome.model_id, figures | told | tags, description)


def place(
    tracker: Tracker, dataset: Dataset, version: ModelVersion, figure: float, *, promote: bool
) -> Placed:
    """Put a new version where it belongs.

    The first version of all goes to Production. A later one goes to Staging, and on to Production
    when that is asked for and it is no worse on the common hold-out.

    Args:
        tracker: where the registry is.
        dataset: whose hold-out both versions are compared on.
        version: the new one.
        figure: its `acuracia_holdout` on that hold-out.
        promote: whether Production is asked for.
    """
    client = tracker.client
    others = [other for other in registry.versions(client) if other.version != version.version]
    if not others:
        registry.move(client, version, registry.PRODUCTION)
        return Placed(version.version, registry.PRODUCTION)
    registry.move(client, version, registry.STAGING)
    if not promote:
        return Placed(version.version, registry.STAGING)
    served = registry.in_stage(client, registry.PRODUCTION)
    if served is not None:
        try:
            standard = holdout_accuracy(dataset, served)
        except Exception as error:
            # Somebody else's model, or one whose files are gone: no ground to replace it on.
            note = (
                f"not promoted: version {served.version} in Production could not be measured on "
                f"the hold-out ({in_one_line(error)})"
            )
            return Placed(version.version, registry.STAGING, note)
        if round(figure, 6) < standard:
            note = (
                f"not promoted: acuracia_holdout {figure:.4f} is below the {standard:.4f} of "
                f"version {served.version} in Production"
            )
            return Placed(version.version, registry.STAGING, note)
    registry.move(client, version, registry.PRODUCTION)
    return Placed(version.version, registry.PRODUCTION)


def holdout_accuracy(dataset: Dataset, version: ModelVersion) -> float:
    """How many products of the hold-out a registered version gets right, as a share.

    Taken from its tags when it was measured on the same hold-out, else measured now.

    Raises:
        BadInput: its model cannot be loaded, or does not classify texts.
    """
    holdout = holdout_of(dataset)
    tags = version.tags
    if tags.get(HOLDOUT_DIGEST) == holdout_digest(holdout) and "acuracia_holdout" in tags:
        return round(float(tags["acuracia_holdout"]), 6)
    with_name = tags.get(INCLUDE_NAMES, YES) == YES
    answers = answers_of(version, [product.text(include_name=with_name) for product in holdout])
    right: int = sum(
        answer == product.category for answer, product in zip(answers, holdout, strict=True)
    )
    return round(right / len(holdout), 6)
