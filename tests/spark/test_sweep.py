"""The sweep on Spark: the runs and the best model of the sweep in one process."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.spark.conftest import Cluster, running_cluster
from tests.support.commands import ROOT

TRAINER = ROOT / "trainer"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A part of the products that ship: enough for every run of a sweep, and trained on soon."""
    header, *rows = (TRAINER / "produtos.csv").read_text(encoding="utf-8").splitlines(True)
    path = tmp_path / "produtos.csv"
    path.write_text(header + "".join(rows[::10]), encoding="utf-8")
    return path


def start(
    server: MlflowServer, experiment: str, table: Path, *options: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(TRAINER / "sweep.py"), "--dataset", str(table), *options],
        env=server.environment(MLFLOW_EXPERIMENT_NAME=experiment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def runs(server: MlflowServer, experiment: str) -> tuple[list[Run], list[Run]]:
    """The parent run, and its children, as far as they are there."""
    client = MlflowClient(server.url)
    found = client.get_experiment_by_name(experiment)
    every = client.search_runs([found.experiment_id]) if found else []
    children = [run for run in every if "mlflow.parentRunId" in run.data.tags]
    return [run for run in every if "mlflow.parentRunId" not in run.data.tags], children


def figures(run: Run) -> dict[str, float]:
    return {k: v for k, v in run.data.metrics.items() if k != "training_seconds"}


def lost_one(children: list[Run]) -> None:
    """See that a worker took the one run with it that it had, and that this was made again."""
    statuses = Counter(run.info.status for run in children)
    assert statuses["FINISHED"] == 10
    # None, where it was between two.
    assert statuses.total() - 10 == statuses["KILLED"] <= 1


def test_the_runs_are_those_of_one_process_though_a_worker_is_killed(
    server: MlflowServer, cluster: Cluster, table: Path
) -> None:
    local = start(server, "local", table)
    said, errors = local.communicate(timeout=PATIENCE * 2)
    assert local.returncode == 0, errors

    spark = start(server, "spark", table, "--engine", "spark", "--spark-master", cluster.master)
    assert spark.stdout is not None
    # The second line is that of the first run: others are under way.
    lines = [spark.stdout.readline() for _ in range(2)]
    assert lines[1].startswith(" 1/10"), spark.communicate()[1]
    executor = cluster.executors()[0]
    for each in (executor, *executor.children(recursive=True)):
        each.kill()
    rest, errors = spark.communicate(timeout=PATIENCE * 2)
    assert spark.returncode == 0, errors
    assert errors == ""

    ((one,), those), ((other,), these) = runs(server, "local"), runs(server, "spark")
    assert (other.info.status, figures(other)) == ("FINISHED", figures(one))
    finished = [run for run in these if run.info.status == "FINISHED"]
    by_name = [
        {run.info.run_name: (figures(run), run.data.params) for run in runs}
        for runs in (those, finished)
    ]
    assert len(finished) == 10
    assert by_name[0] == by_name[1]
    lost_one(these)
    # The best one, as it was called.
    named = [text.split("best: ")[1].split(",")[0] for text in (said, rest)]
    assert named[0] == named[1]
    eventually(lambda: not cluster.executors(), "an executor has stayed behind")


@pytest.mark.slow
def test_a_worker_that_is_gone_costs_its_run_only(
    server: MlflowServer, table: Path, tmp_path: Path
) -> None:
    (tmp_path / "cluster").mkdir()
    with running_cluster(tmp_path / "cluster") as own:
        on_spark = ("--engine", "spark", "--spark-master", own.master)
        sweep = start(server, "without-one", table, *on_spark)
        assert sweep.stdout is not None
        lines = [sweep.stdout.readline() for _ in range(2)]
        assert lines[1].startswith(" 1/10"), sweep.communicate()[1]
        own.lose(0)
        _, errors = sweep.communicate(timeout=PATIENCE * 2)
        assert sweep.returncode == 0, errors
    (parent,), children = runs(server, "without-one")
    assert parent.info.status == "FINISHED"
    lost_one(children)


@pytest.mark.slow
def test_a_run_that_is_lost_twice_ends_the_sweep_with_one_line(
    server: MlflowServer, cluster: Cluster, table: Path
) -> None:
    client = MlflowClient(server.url)
    before = len(client.search_model_versions())
    on_spark = ("--engine", "spark", "--spark-master", cluster.master)
    sweep = start(server, "lost", table, *on_spark)
    eventually(lambda: sweep.poll() is not None or runs(server, "lost")[1], "no run has begun")
    cluster.kill_python_until_over(sweep)
    _, errors = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 2
    (line,) = errors.splitlines()
    assert "a Python process of the cluster was killed, again and again" in line
    eventually(lambda: not cluster.executors(), "an executor has stayed behind")
    (parent,), children = runs(server, "lost")
    assert parent.info.status == "FAILED"
    assert {run.info.status for run in children} <= {"KILLED", "FINISHED"}
    assert len(client.search_model_versions()) == before


@pytest.mark.slow
def test_a_grid_gives_the_same_best_model_in_both(
    server: MlflowServer, cluster: Cluster, table: Path
) -> None:
    grid = ("--grid", "classifier=naive_bayes,logistic_regression", "alpha=0.1,1", "ngrams=1,2")
    on_spark = ("--engine", "spark", "--spark-master", cluster.master)
    named, found = [], []
    for experiment, options in (("grid-local", ()), ("grid-spark", on_spark)):
        done = start(server, experiment, table, *grid, *options)
        said, errors = done.communicate(timeout=PATIENCE * 2)
        assert done.returncode == 0, errors
        named.append(said.split("best: ")[1].split(",")[0])
        (_,), children = runs(server, experiment)
        found.append({run.info.run_name: (figures(run), run.data.params) for run in children})
    assert named[0] == named[1]
    assert len(found[0]) == 8
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_sweep_that_is_stopped_leaves_no_run_open(
    server: MlflowServer, cluster: Cluster, table: Path
) -> None:
    on_spark = ("--engine", "spark", "--spark-master", cluster.master)
    sweep = start(server, "stopped", table, *on_spark)
    eventually(lambda: sweep.poll() is not None or runs(server, "stopped")[1], "no run has begun")
    family = psutil.Process(sweep.pid).children(recursive=True)
    sweep.send_signal(signal.SIGTERM)
    _, errors = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 128 + signal.SIGTERM, errors
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert not alive
    eventually(lambda: not cluster.executors(), "an executor has stayed behind")
    (parent,), children = runs(server, "stopped")
    assert {run.info.status for run in (parent, *children)} <= {"KILLED", "FINISHED"}
    assert parent.info.status == "KILLED"
