"""The first model of all, made once however often its making is cut off.

`python trainer/sweep.py --first` is what a start of the whole stack runs. It may be killed at any
point, and run again: what is finished is kept, what is missing is made, and what an earlier start
left RUNNING is closed. The order in which things are recorded makes that possible: ten runs, then
the version (tagged with its sweep), its stage, its alias, and last the end of the parent run, which
`runs.sweep` keeps open for that.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from produtos.data.dataset import Dataset
from produtos.data.source import SHIPPED, is_url, location, read_bytes
from produtos.errors import BadInput
from produtos.grid import CHAPTER, Axes, grid
from produtos.model.evaluation import METRICS
from produtos.parameters import Parameters
from produtos.registry import registry
from produtos.runs import abandoned, tracking
from produtos.runs.outcome import DATASET_DIGEST, FIRST, GAPS, SWEEP, SWEEP_RUN, Outcome, Sweep
from produtos.runs.tracking import Tracker


def existing_version(client: MlflowClient) -> ModelVersion | None:
    """The newest version in Production, or the newest of all; none when the first is to be made.

    A first version that was registered, but has no stage yet, gets it now.
    """
    found = registry.versions(client)
    if not found:
        return None
    experiment = tracking.experiment_of(client)
    # In one that was deleted no run is found.
    sweeps = _unfinished_sweeps(client, experiment.experiment_id) if experiment else []
    unfinished = {run.info.run_id: run for run in sweeps}
    for version in found:
        parent_id = version.tags.get(SWEEP_RUN, "")
        if version.tags.get(SWEEP) == FIRST and parent_id in unfinished:
            # Left alone if somebody moved it elsewhere meanwhile.
            if version.current_stage in ("None", registry.PRODUCTION):
                registry.move(client, version, registry.PRODUCTION)
            client.set_terminated(parent_id)
            del unfinished[parent_id]
    _close(client, unfinished.values())
    return registry.in_stage(client, registry.PRODUCTION) or found[-1]


def is_untrained(client: MlflowClient, source: str | None) -> bool:
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


def interrupted_sweep(
    tracker: Tracker, dataset: Dataset, common: Parameters, axes: Axes = CHAPTER
) -> Sweep | None:
    """The newest unfinished sweep on the same file with the same parameters.

    Its runs that did not finish, and every other unfinished sweep, are closed as KILLED.
    """
    same = {"strip_accents", "classifier"} - axes.keys()
    shared = {name: value for name, value in common.logged().items() if name in same}
    sweeps = _unfinished_sweeps(tracker.client, tracker.experiment_id)
    _close(tracker.client, sweeps)
    for run in sweeps:
        same_file = run.data.tags.get(DATASET_DIGEST) == dataset.summary.digest
        if same_file and shared.items() <= run.data.params.items():
            return Sweep(run.info.run_id, _finished(tracker.client, run, grid(common, axes)))
    return None


def _unfinished_sweeps(client: MlflowClient, experiment_id: str) -> list[Run]:
    """Parent runs of first sweeps that did not finish, newest first."""
    query = f"tags.{SWEEP} = '{FIRST}' and attributes.status != 'FINISHED'"
    newest_first = ["attributes.start_time DESC"]
    return list(client.search_runs([experiment_id], query, order_by=newest_first))


def _close(client: MlflowClient, parents: Iterable[Run]) -> None:
    for parent in parents:
        abandoned.close_children(client, parent.info.experiment_id, parent.info.run_id)
        if parent.info.status == "RUNNING":
            client.set_terminated(parent.info.run_id, "KILLED")


def _finished(client: MlflowClient, parent: Run, runs: Sequence[Parameters]) -> list[Outcome]:
    finished = []
    query = f"attributes.status = 'FINISHED' and tags.mlflow.parentRunId = '{parent.info.run_id}'"
    for run in client.search_runs([parent.info.experiment_id], query):
        data = run.data
        same = [each for each in runs if each.logged().items() <= data.params.items()]
        if not same or not set(METRICS) <= data.metrics.keys():
            continue
        metrics = {name: data.metrics[name] for name in METRICS}
        # A search leaves the outputs out.
        outputs = client.get_run(run.info.run_id).outputs
        for model in outputs.model_outputs[-1:] if outputs else ():
            gaps = data.tags.get(GAPS, "")
            finished.append(Outcome(run.info.run_id, model.model_id, same[0], metrics, gaps))
    return finished
