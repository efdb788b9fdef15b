"""Where the best run of a sweep goes: the first version of all, or one that is no worse."""

from contextlib import redirect_stderr
from io import StringIO

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from produtos.data.dataset import Dataset
from produtos.data.split import holdout_of
from produtos.parameters import yes_or_no
from produtos.registry import registry
from produtos.registry.comparison import INCLUDE_NAMES, Verdict, judge
from produtos.runs.outcome import FIRST, GAPS, HOLDOUT_DIGEST, SWEEP, SWEEP_RUN, Sweep


def register(client: MlflowClient, dataset: Dataset, sweep: Sweep, *, first: bool) -> ModelVersion:
    """Make a version of the best run's model, with the figures that it is compared by as tags."""
    best = sweep.outcomes[0]
    tags = {name: f"{value:.6f}" for name, value in best.metrics.items()} | {
        HOLDOUT_DIGEST: holdout_of(dataset).digest,
        INCLUDE_NAMES: yes_or_no(best.parameters.include_names),
        SWEEP: FIRST if first else "yes",
        SWEEP_RUN: sweep.parent_id,
    }
    if best.gaps:
        tags[GAPS] = best.gaps
    description = (
        f"{best.parameters.classifier}, {best.parameters.described()}: "
        f"acuracia_holdout {best.metrics['acuracia_holdout']:.4f}"
    )
    # It says on stderr what its caller says better.
    with redirect_stderr(StringIO()):
        version = mlflow.register_model(f"models:/{best.model_id}", registry.MODEL_NAME, tags=tags)
    client.update_model_version(registry.MODEL_NAME, version.version, description=description)
    return version


def choose_stage(
    client: MlflowClient, dataset: Dataset, version: ModelVersion, *, promote: bool
) -> tuple[str, Verdict | None]:
    """Move a new version to its stage.

    The first version of all goes to Production. A later one goes to Staging, and on to Production
    when that is asked for and it is no worse than what is there.

    Returns:
        The stage, and what was said of the version beside the one in Production, if it was asked.
    """
    verdict = None
    # Of two sweeps that register at the same time one is the first, too.
    if registry.versions(client)[0].version != version.version:
        registry.move(client, version, registry.STAGING)
        if not promote:
            return registry.STAGING, None
        verdict = judge(client, dataset, version, registry.PRODUCTION)
        if verdict is not None:
            verdict.save(client, version)
            if not verdict.allowed:
                return registry.STAGING, verdict
    registry.move(client, version, registry.PRODUCTION)
    return registry.PRODUCTION, verdict
