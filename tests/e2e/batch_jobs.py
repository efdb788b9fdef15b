"""Batch jobs, started by their command."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_process import eventually
from tests.support.commands import ROOT, completed

EXPERIMENT = "classificador-produtos-batch"


def command(*arguments: object) -> list[str]:
    return [sys.executable, str(ROOT / "trainer" / "batch.py"), *map(str, arguments)]


@dataclass(frozen=True)
class BatchJobs:
    """Jobs in a folder, on the models of a server."""

    server: MlflowServer
    folder: Path

    def run(self, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return completed(
            command(*arguments),
            env=self.server.environment(**variables),
            cwd=self.folder,
            encoding="utf-8",
            timeout=600,
        )

    def done(self, *arguments: object, **variables: str) -> tuple[str, str]:
        """What a job that must succeed wrote: on stdout, on stderr."""
        finished = self.run(*arguments, **variables)
        assert finished.returncode == 0, finished.stderr
        assert "Traceback" not in finished.stderr
        return finished.stdout, finished.stderr

    def refused(self, *arguments: object, **variables: str) -> str:
        """The one line that a job said which must be refused."""
        finished = self.run(*arguments, **variables)
        assert finished.returncode == 2, finished.stderr
        (line,) = finished.stderr.splitlines()
        assert line.startswith("batch.py: ")
        return line

    def start(self, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """One that goes on. What it keeps for a while is in the folder, too."""
        return subprocess.Popen(
            command(*arguments),
            env=self.server.environment(**variables, TMPDIR=str(self.folder)),
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )

    def under_way(self, *arguments: object) -> subprocess.Popen[str]:
        """One that has begun to write `saida.csv`."""
        process = self.start(*arguments, "--output", "saida.csv")

        def is_writing() -> bool:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            return any(part.stat().st_size > 0 for part in self.folder.glob(".saida.csv.*"))

        eventually(is_writing, "the job has not begun to write")
        return process

    def last_run(self) -> Run:
        client = MlflowClient(self.server.url)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None
        return client.search_runs([experiment.experiment_id], order_by=["start_time DESC"])[0]
