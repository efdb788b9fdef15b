"""The ten runs of the chapter as children of one parent run."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager

from produtos.data.dataset import Dataset
from produtos.data.split import holdout_of
from produtos.language import tr
from produtos.model.evaluation import METRICS
from produtos.parameters import Parameters, grid, yes_or_no
from produtos.runs.outcome import DATASET_DIGEST, FIRST, HOLDOUT_DIGEST, SWEEP, Outcome, Sweep
from produtos.runs.tracking import Tracker, log, project_run_id, running
from produtos.runs.training import train_child

Trained = tuple[Outcome, float]
"""A run that was recorded, and the seconds that it took."""

Trainer = Callable[[Tracker, Dataset, str, Sequence[Parameters]], Generator[Trained]]
"""Trains and records runs, children of the run with this id, in their order."""


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


def one_by_one(
    tracker: Tracker, dataset: Dataset, parent_id: str, runs: Sequence[Parameters]
) -> Generator[Trained]:
    """Train in this process."""
    for parameters in runs:
        yield train_child(tracker, dataset, parent_id, parameters)


@contextmanager
def sweep(
    tracker: Tracker,
    dataset: Dataset,
    common: Parameters,
    *,
    report: Callable[[str], None],
    resumed: Sweep | None = None,
    first: bool = False,
    trainer: Trainer = one_by_one,
) -> Iterator[Sweep]:
    """Train all runs; the parent run stays open until the end of the block.

    So the best run is registered while the sweep counts as unfinished: if that is cut off, the
    next `--first` finds it and goes on (`registry.first_start`).

    Args:
        tracker: where all of it is recorded.
        dataset: read once, for all runs.
        common: the parameters that all runs share.
        report: called with one line for each run.
        resumed: an earlier sweep to go on with.
        first: whether this is the sweep that makes the first model.
        trainer: what does the work.
    """
    runs = grid(common)
    done = {each.parameters: each for each in resumed.outcomes} if resumed else {}
    outcomes = []
    tags = {
        SWEEP: FIRST if first else "yes",
        DATASET_DIGEST: dataset.digest,
        HOLDOUT_DIGEST: holdout_of(dataset).digest,
    }
    parent_id = resumed.parent_id if resumed else project_run_id()
    name = f"sweep {common.classifier}"
    with running(tracker, name, run_id=parent_id, tags=tags) as parent:
        parent_id = parent.info.run_id
        logged = common.logged()
        shared = {name: logged[name] for name in ("strip_accents", "classifier", "dataset")}
        log(tracker, parent, parameters=shared)
        missing = [parameters for parameters in runs if parameters not in done]
        with closing(trainer(tracker, dataset, parent_id, missing)) as trained:
            for number, parameters in enumerate(runs, start=1):
                if parameters in done:
                    outcome, how = done[parameters], tr("kept")
                else:
                    outcome, seconds = next(trained)
                    how = f"{seconds:.1f} s"
                outcomes.append(outcome)
                report(f"{number:2}/{len(runs)}  {_line(outcome)}  {how}")
        best_first = ranked(outcomes)
        best = best_first[0]
        log(tracker, parent, metrics=best.metrics, tags={"best_run_id": best.run_id})
        yield Sweep(parent_id, best_first)


def _line(outcome: Outcome) -> str:
    parameters, metrics = outcome.parameters, outcome.metrics
    return (
        f"test_size={parameters.test_size}  include_names={yes_or_no(parameters.include_names)}  "
        f"acuracia {metrics['acuracia']:.4f}  acuracia_holdout {metrics['acuracia_holdout']:.4f}"
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """The runs as lines of text, in the given order."""
    lines = ["test_size  include_names  " + "  ".join(f"{name:>16}" for name in METRICS)]
    lines += [
        f"{outcome.parameters.test_size:<9}  "
        f"{yes_or_no(outcome.parameters.include_names):<13}  "
        + "  ".join(f"{outcome.metrics[name]:16.4f}" for name in METRICS)
        for outcome in outcomes
    ]
    return "\n".join(lines)
