"""The first model of all, made once however often its making is cut off.

`python trainer/sweep.py --first` is what a start of the whole stack runs. It may be killed at any
point, and run again: what is finished is kept, what is missing is made, and what another attempt
left RUNNING is closed. The order in which things are recorded makes that possible: ten runs, then
the version (tagged with its sweep), its stage, its alias, and last the end of the parent run.
"""

import hashlib
from pathlib import Path

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from produtos.data.dataset import Dataset
from produtos.data.source import SHIPPED, is_url, location, read_bytes
from produtos.errors import BadInput
from produtos.parameters import Parameters, grid
from produtos.registry import registry
from produtos.runs import tracking
from produtos.runs.outcome import (
    DATASET_DIGEST,
    FIRST,
    METRICS,
    SWEEP,
    SWEEP_RUN,
    Attempt,
    Outcome,
)
from produtos.runs.tracking import Tracker

UNFINISHED = ("RUNNING", "SCHEDULED", "KILLED", "FAILED")


def existing_version(client: MlflowClient) -> ModelVersion | None:
    """The newest version in Production, or the newest of all; none when the first is to be made.

    A first version that was registered and not placed is placed now.
    """
    found = registry.versions(client)
    if not found:
        return None
    experiment_id = tracking.active_experiment_id(client)
    attempts = _attempts(Tracker(client, experiment_id)) if experiment_id else []
    unfinished = {run.info.run_id: run for run in attempts}
    for version in found:
        if version.tags.get(SWEEP) != FIRST or version.tags.get(SWEEP_RUN) not in unfinished:
            continue
        # Left alone if somebody moved it elsewhere meanwhile.
        if version.current_stage in ("None", registry.PRODUCTION):
            registry.move(client, version, registry.PRODUCTION)
        client.set_terminated(unfinished.pop(version.tags[SWEEP_RUN]).info.run_id)
    _close(client, list(unfinished.values()))
    return registry.in_stage(client, registry.PRODUCTION) or found[-1]


def is_new_to_all(client: MlflowClient, source: str | None) -> bool:
    """Whether, as far as one can tell, no version was trained on a file of the user's own.

    Who names a data set may believe that it is what the model knows.
    """
    where = location(source)
    if is_url(where) or Path(where).resolve() == SHIPPED:
        return False
    try:
        digest = hashlib.sha256(read_bytes(where)).hexdigest()
        known = [client.get_run(version.run_id or "") for version in registry.versions(client)]
    except (BadInput, MlflowException):
        return False
    return digest not in {run.data.tags.get(DATASET_DIGEST) for run in known}


def interrupted_attempt(tracker: Tracker, dataset: Dataset, common: Parameters) -> Attempt | None:
    """The newest attempt on the same file with the same parameters, if it was cut off.

    Its runs that did not finish, and every other attempt, are closed as KILLED.
    """
    shared = {k: v for k, v in common.logged().items() if k in ("strip_accents", "classifier")}
    attempts = _attempts(tracker)
    _close(tracker.client, attempts)
    for run in attempts:
        same_file = run.data.tags.get(DATASET_DIGEST) == dataset.digest
        if same_file and shared.items() <= run.data.params.items():
            return Attempt(run.info.run_id, _finished(tracker, run, common))
    return None


def _attempts(tracker: Tracker) -> list[Run]:
    """Parent runs of first sweeps that did not finish, newest first."""
    runs = tracker.client.search_runs(
        [tracker.experiment_id],
        f"tags.{SWEEP} = '{FIRST}'",
        order_by=["attributes.start_time DESC"],
    )
    return [run for run in runs if run.info.status in UNFINISHED]


def _children(client: MlflowClient, parent: Run) -> list[Run]:
    return list(
        client.search_runs(
            [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
        )
    )


def _close(client: MlflowClient, parents: list[Run]) -> None:
    for parent in parents:
        for run in (*_children(client, parent), parent):
            if run.info.status in ("RUNNING", "SCHEDULED"):
                client.set_terminated(run.info.run_id, "KILLED")


def _finished(tracker: Tracker, parent: Run, common: Parameters) -> dict[Parameters, Outcome]:
    finished = {}
    for run in _children(tracker.client, parent):
        for parameters in grid(common):
            same = parameters.logged().items() <= run.data.params.items()
            complete = run.info.status == "FINISHED" and set(METRICS) <= run.data.metrics.keys()
            models = tracker.client.get_run(run.info.run_id).outputs if same and complete else None
            if models and models.model_outputs:
                finished[parameters] = Outcome(
                    run.info.run_id,
                    models.model_outputs[-1].model_id,
                    parameters,
                    {name: run.data.metrics[name] for name in METRICS},
                )
    return finished
