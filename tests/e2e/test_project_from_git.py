"""`mlflow run <git URL>#trainer`, from an empty folder, as the book's chapter does it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import expect

from tests.e2e.conftest import MlflowServer
from tests.e2e.git_project import (
    FIRST_ROUND,
    NAME,
    SECOND_ROUND,
    Project,
    Shell,
    command,
    parameter,
    set_default_of_strip_accents,
    tried,
)
from tests.e2e.git_repository import Repository, copy_of_a_clone
from tests.e2e.git_server import running_git_server
from tests.e2e.registry_page import PATIENCE, chromium
from tests.support.commands import completed

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def rounds(
    tmp_path_factory: pytest.TempPathFactory, mlflow_server: MlflowServer
) -> Iterator[tuple[Shell, Project, list[subprocess.CompletedProcess[str]]]]:
    """The chapter's path: a round of runs, a commit that changes the accents, another round."""
    folder = tmp_path_factory.mktemp("project-from-git")
    repository = Repository.create(folder / "clone", folder / "served" / NAME)
    copy_of_a_clone(repository.folder)
    set_default_of_strip_accents(repository.folder, "não")
    first = repository.commit_and_push("Classificador de produtos")
    shell = Shell.open(folder, mlflow_server)
    with running_git_server(folder / "served") as server:

        def type_in(what: tuple[str, str]) -> subprocess.CompletedProcess[str]:
            line = command(f"{server.url}/{NAME}#trainer", *what)
            return shell.run(f"{line} --env-manager local", "classificador-produtos-git")

        # The first makes the experiment. The others go two at a time, for the test's sake.
        done = [type_in(FIRST_ROUND[0])]
        with ThreadPoolExecutor(2) as two:
            done += two.map(type_in, FIRST_ROUND[1:])
            set_default_of_strip_accents(repository.folder, "sim")
            second = repository.commit_and_push("Corrigindo modelo para tratamento de acentos")
            done += two.map(type_in, SECOND_ROUND)
        yield shell, Project(server, repository, first, second), done


@pytest.fixture
def project(
    rounds: tuple[Shell, Project, list[subprocess.CompletedProcess[str]]],
) -> Project:
    return rounds[1]


@pytest.fixture
def shell(tmp_path: Path, mlflow_server: MlflowServer) -> Shell:
    """A terminal of the test's own."""
    return Shell.open(tmp_path, mlflow_server)


Rounds = tuple[Shell, Project, list[subprocess.CompletedProcess[str]]]


def test_all_sixteen_commands_of_the_chapter_work_as_written(rounds: Rounds) -> None:
    shell, _, done = rounds
    for process in done:
        assert process.returncode == 0, process.stdout
        assert "Traceback" not in process.stdout
        assert "View run" in process.stdout
    assert len(done) == 16
    assert list(shell.folder.iterdir()) == []
    runs = shell.runs("classificador-produtos-git")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert sorted(map(tried, runs)) == sorted(FIRST_ROUND + SECOND_ROUND)
    for run in runs:
        assert 0.8 < run.data.metrics["acuracia"] <= 1


def test_each_run_shows_its_commit_and_where_it_came_from(rounds: Rounds) -> None:
    shell, project, _ = rounds
    commits: dict[str, list[tuple[str, str]]] = {project.first: [], project.second: []}
    for run in shell.runs("classificador-produtos-git"):
        tags = run.data.tags
        commits[tags["mlflow.source.git.commit"]].append(tried(run))
        with_accents = tags["mlflow.source.git.commit"] == project.first
        assert parameter(run, "strip_accents") == ("não" if with_accents else "sim")
        assert tags["mlflow.source.name"] == project.url
        assert tags["mlflow.source.git.repoURL"] == project.url.removesuffix("#trainer")
        assert tags["mlflow.source.git.branch"] == "main"
        assert tags["mlflow.source.type"] == "PROJECT"
        assert tags["mlflow.project.entryPoint"] == "main"
    assert sorted(commits[project.first]) == sorted(FIRST_ROUND)
    assert sorted(commits[project.second]) == sorted(SECOND_ROUND)


def test_page_of_a_run_shows_the_commit(rounds: Rounds) -> None:
    shell, project, _ = rounds
    run = shell.runs("classificador-produtos-git")[-1]
    assert run.data.tags["mlflow.source.git.commit"] == project.second
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 1000}, locale="en-US")
        page.set_default_timeout(PATIENCE)
        page.goto(
            f"{shell.server.url}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        )
        expect(page.get_by_text(project.second[:6]).first).to_be_visible()


def test_older_commit_can_be_run_again(project: Project, shell: Shell) -> None:
    line = f"mlflow run -v {project.first} {project.url} -P test_size=0.5 --env-manager local"
    done = shell.run(line, "git-commit")
    assert done.returncode == 0, done.stdout
    (run,) = shell.runs("git-commit")
    assert run.data.tags["mlflow.source.git.commit"] == project.first
    assert parameter(run, "strip_accents") == "não"


@pytest.mark.slow
def test_uv_makes_the_environment_once(project: Project, shell: Shell) -> None:
    line = f"{command(project.url, '0.1', 'sim')} --env-manager uv"
    first = shell.run(line, "git-uv")
    assert first.returncode == 0, first.stdout
    assert "Creating a new environment" in first.stdout
    (environment,) = shell.environments.iterdir()
    made = environment.stat().st_ino, environment.stat().st_mtime_ns

    second = shell.run(line, "git-uv")
    assert second.returncode == 0, second.stdout
    assert f"Environment {environment} already exists" in second.stdout
    assert "Installing dependencies" not in second.stdout
    assert list(shell.environments.iterdir()) == [environment]
    assert (environment.stat().st_ino, environment.stat().st_mtime_ns) == made

    runs = shell.runs("git-uv")
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert {run.data.tags["mlflow.project.env"] for run in runs} == {"uv"}
    # The same commit, data and parameters: the same figures, to the last digit.
    for name, value in runs[0].data.metrics.items():
        assert name == "training_seconds" or runs[1].data.metrics[name] == value, name


def pyenv_with_newest_python(folder: Path) -> Path:
    """A folder for PYENV_ROOT in which the newest Python 3.11 that pyenv knows is installed.

    MLflow's virtualenv manager asks pyenv for exactly that one, and pyenv would compile it from
    sources that it downloads. Where it is not there, the Python 3.11 of this machine stands in.
    """
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        pytest.skip("no pyenv on this machine; --env-manager virtualenv needs it")
    listed = completed([pyenv, "install", "--list"])
    patches = re.findall(r"^ *3\.11\.(\d+)$", listed.stdout, flags=re.M)
    if not patches:
        pytest.skip(f"pyenv lists no Python 3.11: {listed.stderr or 'no python-build plugin'}")
    newest = f"3.11.{max(map(int, patches))}"
    root = completed([pyenv, "root"], check=True).stdout
    installed = Path(root.strip()) / "versions" / newest
    if not installed.exists():
        if sys.version_info[:2] != (3, 11):
            pytest.skip(f"pyenv would have to download Python {newest}")
        installed = Path(sys.base_prefix)
    (folder / "versions").mkdir(parents=True)
    (folder / "versions" / newest).symlink_to(installed)
    return folder


def test_line_without_an_environment_manager_goes_through_virtualenv(
    project: Project, shell: Shell, tmp_path: Path
) -> None:
    pyenv_root = pyenv_with_newest_python(tmp_path / "pyenv")
    line = command(project.url, "0.1", "sim")
    # Compiling the bytecode of all packages takes longer than one short run.
    settings = {"PYENV_ROOT": str(pyenv_root), "PIP_NO_COMPILE": "1", "PIP_QUIET": "1"}
    done = shell.run(line, "git-virtualenv", **settings)
    assert done.returncode == 0, done.stdout
    assert "Installing dependencies" in done.stdout
    (run,) = shell.runs("git-virtualenv")
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.project.env"] == "virtualenv"


@pytest.mark.parametrize(
    ("mistake", "arguments", "said"),
    [
        ("address", "-v main {server}/nada.git#trainer", "nada.git"),
        ("branch", "-v nenhum {server}/{name}#trainer", "version 'nenhum'"),
        ("folder", "-v main {server}/{name}#nada", "Could not find subdirectory nada"),
        # The folder above trainer/ is no project, and MLflow then has no command to run.
        ("no project", "-v main {server}/{name}", "main"),
    ],
)
def test_mistake_ends_the_command_and_says_what_was_wrong(
    project: Project, shell: Shell, mistake: str, arguments: str, said: str
) -> None:
    written = arguments.format(server=project.server.url, name=NAME)
    done = shell.run(f"mlflow run {written} --env-manager local", f"git-mistake-{mistake}")
    assert done.returncode != 0
    assert said in done.stdout
    assert "Traceback" not in done.stdout


def test_wrong_parameter_leaves_a_failed_run_and_one_line(project: Project, shell: Shell) -> None:
    line = f"mlflow run -v main {project.url} -P test_size=2 --env-manager local"
    done = shell.run(line, "git-wrong-parameter")
    assert done.returncode != 0
    assert "test_size" in done.stdout
    assert "must be a number between 0 and 1" in done.stdout
    assert "Traceback" not in done.stdout
    (run,) = shell.runs("git-wrong-parameter")
    assert run.info.status == "FAILED"


def test_private_repository_takes_credentials_from_git(
    project: Project, shell: Shell, tmp_path: Path
) -> None:
    secret = "tok-3f9c"
    with running_git_server(project.server.root, credentials=f"ana:{secret}") as private:
        line = f"mlflow run -v main {private.url}/{NAME}#trainer --env-manager local"
        refused = shell.run(line, "git-private")
        assert refused.returncode != 0
        assert shell.runs("git-private") == []

        store = tmp_path / "credentials"
        store.write_text(private.url.replace("://", f"://ana:{secret}@") + "\n")
        configuration = tmp_path / "gitconfig"
        configuration.write_text(f"[credential]\n\thelper = store --file={store}\n")
        done = shell.run(line, "git-private", GIT_CONFIG_GLOBAL=str(configuration))
    assert done.returncode == 0, done.stdout
    assert secret not in done.stdout
    (run,) = shell.runs("git-private")
    assert run.data.tags["mlflow.source.git.commit"] == project.second
    assert secret not in str(run.data.tags)


def test_a_token_typed_in_the_address_is_not_kept(project: Project, shell: Shell) -> None:
    secret = "tok-77ab"
    with running_git_server(project.server.root, credentials=f"ana:{secret}") as private:
        address = private.url.replace("://", f"://ana:{secret}@")
        line = f"mlflow run -v main {address}/{NAME}#trainer --env-manager local"
        done = shell.run(line, "git-token")
        wrong = shell.run(f"{line} -P test_size=2", "git-token")
    assert done.returncode == 0, done.stdout
    assert wrong.returncode != 0
    runs = shell.runs("git-token")
    assert [run.info.status for run in runs] == ["FINISHED", "FAILED"]
    for run in runs:
        assert run.data.tags["mlflow.source.name"] == f"{private.url}/{NAME}#trainer"
    experiment = runs[0].info.experiment_id
    (model,) = MlflowClient(shell.server.url).search_logged_models([experiment])
    assert secret not in str([*(run.data for run in runs), model.tags])
