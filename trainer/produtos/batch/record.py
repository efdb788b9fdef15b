"""What a run on the tracking server keeps of a job."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run

from produtos.batch.differences import Differences
from produtos.batch.request import Request
from produtos.io.sinks import BadRows
from produtos.io.storage import locate
from produtos.registry.reference import ModelReference
from produtos.runs.tracking import Tracker, log

LARGEST_BAD_ROWS_ARTIFACT = 50_000_000
"""Bytes of the side file that are worth sending to the tracking server, too."""


@dataclass(frozen=True)
class Result:
    """What a job came to.

    Attributes:
        rows: classified.
        bad_rows: left out.
        seconds: from the first row to the last.
        differences: between two models, when two were asked.
    """

    rows: int
    bad_rows: int
    seconds: float
    differences: Differences | None

    def metrics(self) -> dict[str, float]:
        """The figures as a run keeps them."""
        figures = {
            "rows": self.rows,
            "bad_rows": self.bad_rows,
            "seconds": self.seconds,
            "rows_per_second": self.rows / self.seconds if self.seconds else 0.0,
        }
        if self.differences is not None:
            figures |= {
                "rows_differing": self.differences.differing,
                "share_differing": self.differences.share,
            }
        return figures


def origin_of(versions: dict[str, ModelReference]) -> dict[str, str]:
    """Which versions answered, by the names of their columns, and the model's name."""
    names = dict.fromkeys(model.name for model in versions.values())
    return {column: model.version for column, model in versions.items()} | {
        "modelo": ", ".join(names)
    }


@dataclass(frozen=True)
class Record:
    """The run that a job is recorded with."""

    tracker: Tracker
    run: Run

    @property
    def run_id(self) -> str:
        """Of the run."""
        return str(self.run.info.run_id)

    def start(self, request: Request, versions: dict[str, ModelReference]) -> None:
        """Say what is about to be done; `versions` by the name of their column."""
        parameters = {
            "model": " ".join(request.models),
            "input": request.input or f"({len(request.texts)} texts)",
            "output": request.shown_output,
            "min_answered": f"{request.min_answered:g}",
            "workers": str(request.workers),
            "engine": "spark" if request.spark_master else "local",
        }
        log(self.tracker, self.run, parameters=parameters, tags=origin_of(versions))

    def result(self, result: Result) -> None:
        """Say what came of it: figures, and where two models differ."""
        log(self.tracker, self.run, metrics=result.metrics())
        if result.differences is not None:
            with tempfile.TemporaryDirectory() as folder:
                result.differences.save(Path(folder))
                self.tracker.client.log_artifacts(self.run_id, folder, "comparison")

    def bad_rows(self, bad: BadRows) -> None:
        """Keep the side file with the run, if it is on this machine and not too large."""
        target = locate(bad.address)
        if target.is_local and Path(target.path).stat().st_size <= LARGEST_BAD_ROWS_ARTIFACT:
            self.tracker.client.log_artifact(self.run_id, target.path)
