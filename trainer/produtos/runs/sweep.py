"""The ten runs of the chapter as children of one parent run, and the best of them registered."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from produtos.data.dataset import Dataset
from produtos.data.split import holdout_digest, holdout_of
from produtos.parameters import Parameters, grid, yes_or_no
from produtos.registry import promotion
from produtos.runs.outcome import (
    DATASET_DIGEST,
    FIRST,
    HOLDOUT_DIGEST,
    METRICS,
    SWEEP,
    SWEEP_RUN,
    Attempt,
    Outcome,
)
from produtos.runs.tracking import (
    Tracker,
    log_metrics,
    log_parameters,
    log_tags,
    project_run_id,
    running,
)
from produtos.runs.training import train_and_record

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    """What a sweep came to: its runs, best first, and where the best one went."""

    parent_id: str
    outcomes: list[Outcome]
    placed: promotion.Placed


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


def sweep(
    tracker: Tracker,
    dataset: Dataset,
    common: Parameters,
    *,
    promote: bool = False,
    say: Say,
    resumed: Attempt | None = None,
    first: bool = False,
) -> Sweep:
    """Train all runs, register the best one and place it.

    Args:
        tracker: where all of it is recorded.
        dataset: read once, for all runs.
        common: the parameters that all runs share.
        promote: whether Production is asked for.
        say: told one line for each run.
        resumed: an earlier attempt to go on with.
        first: whether this is the sweep that makes the first model.
    """
    wanted = grid(common)
    done = resumed.outcomes if resumed else {}
    outcomes = []
    tags = {SWEEP: FIRST if first else "yes", DATASET_DIGEST: dataset.digest}
    tags[HOLDOUT_DIGEST] = holdout_digest(holdout_of(dataset))
    parent_id = resumed.parent_id if resumed else project_run_id()
    name = f"sweep {common.classifier}"
    with running(tracker, name, run_id=parent_id, tags=tags) as parent:
        shared = common.logged()
        log_parameters(
            tracker, parent, {k: shared[k] for k in ("strip_accents", "classifier", "dataset")}
        )
        for number, parameters in enumerate(wanted, start=1):
            place = f"{number:2}/{len(wanted)}"
            if parameters in done:
                outcomes.append(done[parameters])
                say(f"{place}  {_line(done[parameters])}  kept")
                continue
            started = time.monotonic()
            with running(tracker, parameters.run_name(), parent_id=parent.info.run_id) as run:
                outcomes.append(train_and_record(tracker, run, dataset, parameters))
            say(f"{place}  {_line(outcomes[-1])}  {time.monotonic() - started:.1f} s")
        best_first = ranked(outcomes)
        best = best_first[0]
        log_metrics(tracker, parent.info.run_id, best.metrics)
        log_tags(tracker, parent.info.run_id, {"best_run_id": best.run_id})
        version = promotion.register(
            tracker, dataset, best, {SWEEP: tags[SWEEP], SWEEP_RUN: parent.info.run_id}
        )
        placed = promotion.place(
            tracker, dataset, version, best.metrics["acuracia_holdout"], promote=promote
        )
    return Sweep(parent.info.run_id, best_first, placed)


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
