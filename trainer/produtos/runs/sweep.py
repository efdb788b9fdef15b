"""The ten runs of the chapter, or those of a grid, as children of one parent run."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from produtos.data.dataset import Dataset
from produtos.data.split import holdout_of
from produtos.grid import CHAPTER, Axes, grid
from produtos.language import tr
from produtos.model.evaluation import METRICS
from produtos.parameters import Parameters
from produtos.runs.outcome import DATASET_DIGEST, FIRST, HOLDOUT_DIGEST, SWEEP, Outcome, Sweep
from produtos.runs.sweep_on_spark import train_on_spark
from produtos.runs.tracking import Tracker, log, project_run_id, running
from produtos.runs.training import record, train
from produtos.spark.session import Session

ROWS_SHOWN = 20
"""Of a table of runs; the page lists them all."""


def ranked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Best first: by `acuracia_holdout`, then `f1_macro_holdout`, then the smaller test split."""
    return sorted(
        outcomes,
        key=lambda outcome: (
            -round(outcome.metrics["acuracia_holdout"], 9),
            -round(outcome.metrics["f1_macro_holdout"], 9),
            outcome.parameters.test_size,
            not outcome.parameters.include_names,
        ),
    )


@contextmanager
def sweep(
    tracker: Tracker,
    dataset: Dataset,
    common: Parameters,
    *,
    resumed: Sweep | None = None,
    first: bool = False,
    spark: Session | None = None,
    axes: Axes = CHAPTER,
) -> Iterator[Sweep]:
    """Train all runs, a line for each; the parent run stays open until the end of the block.

    So the best run is registered while the sweep counts as unfinished: if that is cut off, the
    next `--first` finds it and goes on (`registry.first_start`).

    Args:
        tracker: where all of it is recorded.
        dataset: read once, for all runs.
        common: the parameters that all runs share.
        resumed: an earlier sweep to go on with.
        first: whether this is the sweep that makes the first model.
        spark: what does the work; None for this process.
        axes: in what the runs differ.
    """
    runs = grid(common, axes)
    done = {each.parameters: each for each in resumed.outcomes} if resumed else {}
    outcomes = []
    tags = {
        SWEEP: FIRST if first else "yes",
        DATASET_DIGEST: dataset.summary.digest,
        HOLDOUT_DIGEST: holdout_of(dataset).digest,
    }
    parent_id = resumed.parent_id if resumed else project_run_id()
    name = f"sweep {'of a grid' if 'classifier' in axes else common.classifier}"
    with running(tracker, name, run_id=parent_id, tags=tags) as parent:
        parent_id = parent.info.run_id
        shared = {k: v for k, v in common.logged().items() if k not in (*axes, "streaming")}
        log(tracker, parent, parameters=shared)
        missing = [parameters for parameters in runs if parameters not in done]
        child = {MLFLOW_PARENT_RUN_ID: parent_id}
        trained = (
            train_on_spark(spark, tracker, dataset, parent_id, missing)
            if spark
            else (
                record(tracker, each, partial(train, dataset, each), tags=child) for each in missing
            )
        )
        with closing(trained):
            for number, parameters in enumerate(runs, start=1):
                outcome = done.get(parameters) or next(trained)
                how = tr("kept") if outcome.seconds is None else f"{outcome.seconds:.1f} s"
                outcomes.append(outcome)
                which = f"{number:{len(str(len(runs)))}}/{len(runs)}"
                print(f"{which}  {_line(outcome, axes)}  {how}", flush=True)
        best_first = ranked(outcomes)
        best = best_first[0]
        log(tracker, parent, metrics=best.metrics, tags={"best_run_id": best.run_id})
        yield Sweep(parent_id, best_first)


def _varied(outcome: Outcome, axes: Axes) -> dict[str, str]:
    return {name: value for name, value in outcome.parameters.written().items() if name in axes}


def _line(outcome: Outcome, axes: Axes) -> str:
    varied = "  ".join(f"{name}={value}" for name, value in _varied(outcome, axes).items())
    metrics = outcome.metrics
    return (
        f"{varied}  acuracia {metrics['acuracia']:.4f}  "
        f"acuracia_holdout {metrics['acuracia_holdout']:.4f}"
    )


def table(outcomes: Sequence[Outcome], axes: Axes = CHAPTER) -> str:
    """The first runs as lines of text, in the given order."""
    shown = outcomes[:ROWS_SHOWN]
    varied = [_varied(outcome, axes) for outcome in shown]
    texts = [[name, *(row[name] for row in varied)] for name in varied[0]]
    columns = [[cell.ljust(max(map(len, column))) for cell in column] for column in texts]
    for name in METRICS:
        figures = (f"{outcome.metrics[name]:16.4f}" for outcome in shown)
        columns.append([name.rjust(16), *figures])
    lines = list(map("  ".join, zip(*columns, strict=True)))
    if more := len(outcomes) - len(shown):
        lines.append(tr("and {more} runs more").format(more=more))
    return "\n".join(lines)
