"""The runs of a sweep side by side on Spark, each on one core of the cluster."""

import os
import pickle
import tempfile
from collections.abc import Generator, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from produtos.data.dataset import Dataset
from produtos.errors import BadInput
from produtos.in_order import in_order
from produtos.parameters import Parameters
from produtos.runs import abandoned, tracking
from produtos.runs.outcome import Outcome
from produtos.runs.tracking import Tracker
from produtos.runs.training import record, train
from produtos.spark.session import Session, received, take_over

TRIES = 2
"""A worker that is lost costs its runs only, which are tried again once."""

SENT = ("MLFLOW_", "no_proxy")
"""How the variables begin that say where the tracking server is and who asks, how long to wait for
it, and that no proxy is asked; they go to the cluster with the work."""

DATASET = "dados"
FILE = "dataset.pickle"
"""The folder that is sent, and what is in it."""


def train_on_spark(
    spark: Session, tracker: Tracker, dataset: Dataset, parent_id: str, runs: Sequence[Parameters]
) -> Generator[Outcome]:
    """Train and record runs on the cluster, children of the run with this id, in their order.

    Raises:
        BadInput: the data set leaves too little to train on, or the cluster could not do it.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith(SENT)}
    # The run of this process alone.
    settings.pop("MLFLOW_RUN_ID", None)
    settings["MLFLOW_TRACKING_URI"] = mlflow.get_tracking_uri()
    tags = tracking.source_tags() | {MLFLOW_PARENT_RUN_ID: parent_id}
    do = partial(_train, experiment_id=tracker.experiment_id, tags=tags, settings=settings)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, FILE).write_bytes(pickle.dumps(dataset))
        spark.send(folder, DATASET)
    try:
        for _, done in in_order(runs, partial(spark.submit, do), spark.at_once):
            trained: Outcome | BadInput = pickle.loads(done)
            if isinstance(trained, BadInput):
                raise trained
            yield trained
    finally:
        # Of a sweep that was stopped, other runs would begin.
        spark.end()
        # The processes of some may be lost.
        with suppress(Exception):
            abandoned.close_children(tracker.client, tracker.experiment_id, parent_id)


@cache
def _dataset() -> Dataset:
    """On the cluster: what was sent, read once by each process."""
    dataset: Dataset = pickle.loads(Path(received(DATASET), FILE).read_bytes())
    return dataset


def _train(
    parameters: Parameters, experiment_id: str, tags: dict[str, str], settings: dict[str, str]
) -> bytes:
    """On the cluster: one run; pickled, it or a `BadInput`, which no second try would change."""
    take_over(settings)
    mlflow.set_tracking_uri(settings["MLFLOW_TRACKING_URI"])
    # A model is logged to the experiment that is set.
    mlflow.set_experiment(experiment_id=experiment_id)
    try:
        tracker = Tracker(MlflowClient(), experiment_id)
        do = partial(train, _dataset(), parameters)
        return pickle.dumps(record(tracker, parameters, do, tags=tags))
    except BadInput as error:
        return pickle.dumps(error)
