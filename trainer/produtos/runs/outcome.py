"""What a recorded run came to, and the names that it is recorded under."""

from dataclasses import dataclass

from produtos.parameters import Parameters

HOLDOUT_DIGEST = "holdout_digest"
"""Tag of a run and of a version: figures on hold-outs of the same digest can be compared."""

DATASET_DIGEST = "dataset_sha256"
"""Tag of a run: the file that it was trained on."""

GAPS = "gaps"
"""Tag of a run and of a version: what its figures cannot tell, if there is something."""

SWEEP = "sweep"
"""Tag of a parent run and of a version: `first` for those of the first model, else `yes`."""

FIRST = "first"

SWEEP_RUN = "sweep_run_id"
"""Tag of a version: the parent run of the sweep that it won."""


@dataclass(frozen=True)
class Outcome:
    """A recorded run.

    Attributes:
        run_id: its id.
        model_id: the id of its logged model.
        parameters: what it was asked to do.
        metrics: those of `evaluation.METRICS`.
        gaps: what these cannot tell; empty where they can.
        seconds: that it took; None for one that an earlier start finished.
    """

    run_id: str
    model_id: str
    parameters: Parameters
    metrics: dict[str, float]
    gaps: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Sweep:
    """The parent run, and its ten runs, best first; of one that was cut off, what it finished."""

    parent_id: str
    outcomes: list[Outcome]
