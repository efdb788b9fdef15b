"""The runs of a sweep side by side on Spark, each on one core of the cluster."""

import os
import pickle
from collections.abc import Generator, Sequence
from contextlib import suppress
from functools import partial

import mlflow
from mlflow.tracking import MlflowClient

from produtos.data.dataset import Dataset
from produtos.errors import BadInput
from produtos.parameters import Parameters
from produtos.runs import tracking
from produtos.runs.sweep import Trained
from produtos.runs.tracking import Tracker
from produtos.runs.training import train_child
from produtos.spark.session import Session

TRIES = 2
"""A worker that is lost costs its runs only, which are tried again once."""

SENT = "MLFLOW_"
"""How the variables begin that say where the tracking server is and who asks, and how long to wait
for it; they go to the cluster with the work."""

NOT_SENT = ("MLFLOW_RUN_ID",)
"""The run of this process alone."""


def train_on_spark(
    spark: Session, tracker: Tracker, dataset: Dataset, parent_id: str, runs: Sequence[Parameters]
) -> Generator[Trained]:
    """Train on the cluster: with a `Session`, a `sweep.Trainer`.

    Raises:
        BadInput: the data set leaves too little to train on, or the cluster could not do it.
    """
    settings = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(SENT) and name not in NOT_SENT
    }
    settings["MLFLOW_TRACKING_URI"] = mlflow.get_tracking_uri()
    train = partial(
        _train,
        experiment_id=tracker.experiment_id,
        parent_id=parent_id,
        dataset=dataset,
        tags=tracking.source_tags(),
        settings=settings,
    )
    try:
        for future in [spark.submit(train, parameters) for parameters in runs]:
            trained: Trained | BadInput = pickle.loads(future.result())
            if isinstance(trained, BadInput):
                raise trained
            yield trained
    finally:
        # Of a sweep that was stopped, other runs would begin.
        spark.end()
        _close(tracker, parent_id)


def _close(tracker: Tracker, parent_id: str) -> None:
    """Say KILLED of runs whose process was lost."""
    left = f"attributes.status = 'RUNNING' and tags.mlflow.parentRunId = '{parent_id}'"
    with suppress(Exception):
        for run in tracker.client.search_runs([tracker.experiment_id], left):
            tracker.client.set_terminated(run.info.run_id, "KILLED")


def _train(
    parameters: Parameters,
    experiment_id: str,
    parent_id: str,
    dataset: Dataset,
    tags: dict[str, str],
    settings: dict[str, str],
) -> bytes:
    """On the cluster: one run; pickled, it or a `BadInput`, which no second try would change."""
    os.environ.update(settings)
    mlflow.set_tracking_uri(settings["MLFLOW_TRACKING_URI"])
    # A model is logged to the experiment that is set.
    mlflow.set_experiment(experiment_id=experiment_id)
    try:
        tracker = Tracker(MlflowClient(), experiment_id)
        return pickle.dumps(train_child(tracker, dataset, parent_id, parameters, tags))
    except BadInput as error:
        return pickle.dumps(error)
