"""The training that CI starts by hand: its script as it stands in the file, on a real server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from tests.e2e.conftest import MlflowServer
from tests.e2e.git_repository import Repository, copy_of_a_clone, git
from tests.support.commands import ROOT

TOKEN = "glcbt-64_n0t4s3cr3t"
ENVIRONMENT = "make env\n"


def script(name: str) -> str:
    """What the job `train` runs."""
    if name == "gitlab":
        file = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8"))
        lines = file["train"]["script"]
    else:
        path = ROOT / ".github" / "workflows" / "ci.yml"
        steps = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]["train"]["steps"]
        lines = [step["run"] for step in steps if "run" in step]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What a runner cloned, and its commit."""
    folder = tmp_path_factory.mktemp("runner")
    repository = Repository.create(folder / "build", folder / "served.git")
    copy_of_a_clone(repository.folder)
    commit = repository.commit_and_push("Classificador de produtos")
    # `make env` is lived through by the tests of `make run`; here our own stands in for it.
    (repository.folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return repository.folder, commit


def start(
    name: str, folder: Path, server: MlflowServer, **settings: str
) -> subprocess.CompletedProcess[str]:
    steps = script(name)
    assert ENVIRONMENT in steps
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", steps.replace(ENVIRONMENT, "")],
        cwd=folder,
        env=server.environment(TMPDIR=str(folder.parent), **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.parametrize("name", ["gitlab", "github"])
def test_training_is_recorded_with_its_commit(
    name: str, checkout: tuple[Path, str], mlflow_server: MlflowServer
) -> None:
    folder, commit = checkout
    address = f"gitlab-ci-token:{TOKEN}@" if name == "gitlab" else ""
    git("remote", "set-url", "origin", f"https://{address}example.org/a/b.git", cwd=folder)
    done = start(
        name,
        folder,
        mlflow_server,
        MLFLOW_EXPERIMENT_NAME=f"ci-{name}",
        # Settings that a project does not make are empty on GitHub.
        MLFLOW_TRACKING_USERNAME="",
        MLFLOW_TRACKING_PASSWORD="",
        TEST_SIZE="0.3",
        INCLUDE_NAMES="não",
        STRIP_ACCENTS="sim",
        CLASSIFIER="logistic_regression",
    )
    assert done.returncode == 0, done.stdout
    client = MlflowClient(mlflow_server.url)
    experiment = client.get_experiment_by_name(f"ci-{name}")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["test_size"] == "0.3"
    assert run.data.params["classifier"] == "logistic_regression"
    assert run.data.tags["mlflow.source.git.commit"] == commit
    assert run.data.tags["mlflow.source.git.repoURL"] == "https://example.org/a/b.git"
    # A runner of GitLab may clone with a token in the address.
    assert TOKEN not in f"{run.data.tags} {done.stdout}"


@pytest.mark.parametrize("name", ["gitlab", "github"])
def test_missing_tracking_server_is_named(
    name: str, checkout: tuple[Path, str], mlflow_server: MlflowServer
) -> None:
    done = start(name, checkout[0], mlflow_server, MLFLOW_TRACKING_URI="")
    assert done.returncode != 0
    assert "MLFLOW_TRACKING_URI: set it under Settings" in done.stdout
    assert os.linesep not in done.stdout.strip()
