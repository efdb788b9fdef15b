"""One run: train on a split, evaluate on the test split and on the hold-out, record it all."""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, InputTag
from sklearn.pipeline import Pipeline

from produtos.data.dataset import COLUMNS, Dataset, Product
from produtos.data.source import SHIPPED_NAME
from produtos.data.split import gaps_of, holdout_of, split
from produtos.data.summary import REASONS, Summary
from produtos.model import flavor as model_flavor
from produtos.model import pipeline as model
from produtos.model import plots
from produtos.model.evaluation import Evaluation, evaluate, expected
from produtos.parameters import Parameters
from produtos.runs.outcome import DATASET_DIGEST, GAPS, HOLDOUT_DIGEST, Outcome
from produtos.runs.tracking import Tracker, log, running


@dataclass(frozen=True)
class Trained:
    """A pipeline, and how good it is on two sets of products that it has not seen.

    Attributes:
        summary: of the data set.
        holdout_digest: see `split.Holdout`.
        inputs: the data set as MLflow knows one: what is trained and tested on, and the hold-out.
        figures: more metrics.
        files: to keep with the run, by name.
    """

    pipeline: Pipeline
    test: Evaluation
    holdout: Evaluation
    expected: dict[str, Any]
    summary: Summary
    holdout_digest: str
    inputs: list[DatasetInput]
    figures: dict[str, float]
    files: dict[str, bytes]

    def metrics(self) -> dict[str, float]:
        """The figures that runs are listed and compared by."""
        return self.test.metrics() | self.holdout.metrics("_holdout")


def texts_of(products: Sequence[Product], parameters: Parameters) -> tuple[list[str], list[str]]:
    """Their texts, and the category of each."""
    texts = [product.text(include_name=parameters.include_names) for product in products]
    return texts, [product.category for product in products]


def train(dataset: Dataset, parameters: Parameters) -> Trained:
    """Train and evaluate; nothing is recorded.

    Raises:
        BadInput: the data set leaves too little to train or test on.
    """
    parts = split(dataset, test_size=parameters.test_size, include_names=parameters.include_names)
    learnt, test, holdout = (
        texts_of(products, parameters)
        for products in (parts.train, parts.test, parts.holdout.products)
    )
    pipeline = model.build(**parameters.of_model())
    pipeline.fit(*learnt)
    on_test, on_holdout = (
        evaluate(categories, pipeline.predict(texts).tolist(), dataset.categories)
        for texts, categories in (test, holdout)
    )
    left_out = {f"rows_left_out_{reason}": count for reason, count in parts.left_out.items()}
    return Trained(
        pipeline,
        on_test,
        on_holdout,
        expected(pipeline, [holdout[0]]),
        dataset.summary,
        parts.holdout.digest,
        _inputs(dataset),
        {"rows_train": len(parts.train), **left_out},
        {SHIPPED_NAME: dataset.content},
    )


def record(
    tracker: Tracker,
    parameters: Parameters,
    do: Callable[[], Trained],
    *,
    run_id: str | None = None,
    tags: dict[str, str] | None = None,
) -> Outcome:
    """Train as `do` does, and record everything about it.

    Args:
        tracker: where it is recorded.
        parameters: of the run.
        do: trains.
        run_id: the run to record it with, if there is one.
        tags: more tags of the run.
    """
    began = time.monotonic()
    with running(tracker, parameters.run_name(), run_id=run_id, tags=tags) as run:
        run_id = run.info.run_id
        log(tracker, run, parameters=parameters.logged())
        started = time.monotonic()
        trained = do()
        seconds = time.monotonic() - started
        gaps = gaps_of(trained.holdout.counts, trained.test.counts)
        digests = {DATASET_DIGEST: trained.summary.digest, HOLDOUT_DIGEST: trained.holdout_digest}
        said = {name: value for name, value in (digests | {GAPS: gaps}).items() if value}
        log(tracker, run, metrics=trained.metrics(), tags=said)
        tracker.client.log_inputs(run_id, datasets=trained.inputs)
        with ThreadPoolExecutor(1) as meanwhile:
            # Uploading waits for the server, saving the model is work: both at once.
            files = meanwhile.submit(_log_files, tracker, run_id, trained)
            # MLflow copies the metrics that the run has by now to the model, with a request for
            # each: those that say how good the model is are there, the others come afterwards.
            # The metadata go wherever the model goes: who serves it sees what has changed since.
            metadata = {"expected": trained.expected}
            model_id = model_flavor.log(trained.pipeline, run_id, metadata=metadata)
            files.result()
        log(tracker, run, metrics=_figures(trained) | {"training_seconds": seconds})
    took = time.monotonic() - began
    return Outcome(run_id, model_id, parameters, trained.metrics(), gaps, took)


def _figures(trained: Trained) -> dict[str, float]:
    dropped = trained.summary.left_out
    return {
        "rows_read": trained.summary.rows_read,
        "rows_test": sum(trained.test.counts.values()),
        "rows_holdout": sum(trained.holdout.counts.values()),
        **{f"rows_dropped_{reason}": dropped.get(reason, 0) for reason in REASONS},
        **trained.figures,
    }


@lru_cache(maxsize=1)
def _inputs(dataset: Dataset) -> list[DatasetInput]:
    holdout = holdout_of(dataset)
    inputs = []
    for name, purpose, products in (
        ("produtos", "training", holdout.rest),
        ("holdout", "holdout", holdout.products),
    ):
        frame = pd.DataFrame(
            [(product.name, product.description, product.category) for product in products],
            columns=list(COLUMNS),
        )
        entity = from_pandas(frame, source=dataset.summary.where, targets="categoria", name=name)
        tag = InputTag("mlflow.data.context", purpose)
        inputs.append(DatasetInput(entity._to_mlflow_entity(), [tag]))
    return inputs


def _log_files(tracker: Tracker, run_id: str, trained: Trained) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "dataset")
        figures = Path(folder, "evaluation")
        data.mkdir()
        figures.mkdir()
        for name, content in trained.files.items():
            Path(data, name).write_bytes(content)
        _write_json(Path(data, "report.json"), trained.summary.report())
        for name, evaluation in (("test", trained.test), ("holdout", trained.holdout)):
            _write_json(Path(figures, f"report_{name}.json"), evaluation.report())
            _write_json(Path(figures, f"confusion_matrix_{name}.json"), evaluation.confusion())
        titles = {"test split": trained.test, "hold-out": trained.holdout}
        plots.save_confusion_matrix(titles, Path(figures, "confusion_matrix.png"))
        plots.save_report(titles, Path(figures, "report.png"))
        tracker.client.log_artifacts(run_id, folder)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
