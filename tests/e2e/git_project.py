"""The project on a git server, and a terminal in which the chapter's lines are typed."""

import itertools
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from tests.e2e.conftest import MlflowServer
from tests.e2e.git_repository import Repository
from tests.e2e.git_server import GitServer

NAME = "classificador-produtos.git"
FIRST_ROUND = list(itertools.product(("0.1", "0.2", "0.3", "0.4", "0.5"), ("sim", "não")))
"""The chapter's ten commands."""
SECOND_ROUND = [(size, "sim") for size in ("0.1", "0.2", "0.25", "0.3", "0.4", "0.5")]
"""Its six after the change of the accents."""


def command(url: str, test_size: str, include_names: str) -> str:
    """A line of the chapter as it stands there, but for the address."""
    return f"mlflow run -v main {url} -P test_size={test_size} -P include_names={include_names}"


@dataclass(frozen=True)
class Shell:
    """A terminal with MLflow on its path, in an empty folder.

    Attributes:
        folder: stays empty: everything that a run needs comes from git.
        server: where runs are kept.
        temporary: where MLflow puts its clones.
        environments: where it puts the environments it makes.
    """

    folder: Path
    server: MlflowServer
    temporary: Path
    environments: Path

    @classmethod
    def open(cls, where: Path, server: MlflowServer) -> "Shell":
        shell = cls(where / "vazia", server, where / "tmp", where / "environments")
        for folder in (shell.folder, shell.temporary, shell.environments):
            folder.mkdir(parents=True)
        return shell

    def run(self, line: str, experiment: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Type a line; what it printed is in `stdout`, errors included."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = self.server.environment(
            MLFLOW_EXPERIMENT_NAME=experiment,
            MLFLOW_ENV_ROOT=str(self.environments),
            TMPDIR=str(self.temporary),
            PATH=path,
            GIT_TERMINAL_PROMPT="0",
            GIT_CONFIG_GLOBAL=os.devnull,
        )
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def runs(self, experiment: str) -> list[Run]:
        """The runs of an experiment, oldest first."""
        client = MlflowClient(self.server.url)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return []
        return list(
            client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"])
        )


def parameter(run: Run, name: str) -> str:
    """A parameter as it was typed: MLflow records what is not ASCII in quotes, as `'não'`."""
    return str(run.data.params[name]).strip("'")


def tried(run: Run) -> tuple[str, str]:
    return parameter(run, "test_size"), parameter(run, "include_names")


@dataclass(frozen=True)
class Project:
    """The project on the git server, with the two commits that the chapter makes.

    Attributes:
        first: without the accent handling.
        second: with it; the newest of `main`.
    """

    server: GitServer
    repository: Repository
    first: str
    second: str

    @property
    def url(self) -> str:
        return f"{self.server.url}/{NAME}#trainer"


def set_default_of_strip_accents(project: Path, value: str) -> None:
    file = project / "trainer" / "MLproject"
    changed, count = re.subn(
        r"(strip_accents: \{type: string, default:) \S+\}",
        rf"\1 {value}}}",
        file.read_text(encoding="utf-8"),
    )
    assert count >= 1
    file.write_text(changed, encoding="utf-8")
