"""What becomes of a job on Spark when a part of it is killed, stopped, or of no use."""

import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.e2e.batch_jobs import BatchJobs
from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.spark.conftest import Cluster, running_cluster
from tests.spark.test_batch import same, untidy

LARGE = 45_000
"""Rows; some nine parts, of which the first is written long before the last is read."""


def under_way(batch: BatchJobs, master: str) -> subprocess.Popen[str]:
    """A job that has begun to write its output."""
    source = untidy(batch.folder / "muitos.csv", LARGE)
    return batch.under_way("--input", source.name, "--engine", "spark", "--spark-master", master)


def ended(cluster: Cluster) -> None:
    """Wait until no executor is left, nor anything that one has started."""
    eventually(lambda: not cluster.executors(), "an executor has stayed behind")


def test_an_executor_that_is_killed_costs_nothing_but_time(
    batch: BatchJobs, cluster: Cluster, tmp_path: Path
) -> None:
    process = under_way(batch, cluster.master)
    cluster.executors()[0].kill()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert len(said.splitlines()) == 1
    assert batch.last_run().info.status == "FINISHED"
    batch.done("--input", "muitos.csv", "--output", "local.csv")
    for one, other in (("saida", "local"), ("saida.rejeitadas", "local.rejeitadas")):
        assert (tmp_path / f"{one}.csv").read_bytes() == (tmp_path / f"{other}.csv").read_bytes()
    ended(cluster)


@pytest.mark.slow
def test_a_worker_of_the_cluster_that_is_gone(batch: BatchJobs, tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    with running_cluster(tmp_path / "cluster") as own:
        process = under_way(batch, own.master)
        own.lose(0)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        assert batch.last_run().data.metrics["rows"] > LARGE * 0.9


@pytest.mark.slow
def test_a_cluster_that_is_gone_ends_the_job_with_one_line(
    batch: BatchJobs, server: MlflowServer, tmp_path: Path
) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "job").mkdir()
    with running_cluster(tmp_path / "cluster") as own:
        process = under_way(BatchJobs(server, tmp_path / "job"), own.master)
        for worker in range(2):
            own.lose(worker)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    (line,) = said.splitlines()
    assert "no worker has given another one within" in line
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["muitos.csv"]
    assert batch.last_run().info.status == "FAILED"


@pytest.mark.slow
def test_workers_that_do_not_find_this_machine(
    batch: BatchJobs, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("nome\nhalo\n", encoding="utf-8")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text(
        "spark.driver.host nowhere.invalid\nspark.driver.bindAddress 127.0.0.1\n", encoding="utf-8"
    )
    line = batch.refused(
        *("--input", "a.csv", "--output", "b.csv"),
        *("--engine", "spark", "--spark-master", cluster.master),
        SPARK_CONF_DIR=str(tmp_path / "conf"),
    )
    assert "SPARK_LOCAL_IP" in line
    assert not (tmp_path / "b.csv").exists()
    ended(cluster)


@pytest.mark.slow
def test_on_this_machine_it_is_open_to_nobody_else(batch: BatchJobs) -> None:
    process = under_way(batch, "local[1]")
    family = psutil.Process(process.pid).children(recursive=True)
    open_at = {
        each.laddr.ip.removeprefix("::ffff:")
        for member in family
        if member.name() == "java"
        for each in member.net_connections()
        if each.status == psutil.CONN_LISTEN
    }
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert open_at == {"127.0.0.1"}


@pytest.mark.slow
def test_python_that_is_killed_again_and_again_ends_the_job_with_one_line(
    batch: BatchJobs, cluster: Cluster, tmp_path: Path
) -> None:
    process = under_way(batch, cluster.master)
    cluster.kill_python_until_over(process)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    (line,) = said.splitlines()
    assert "a Python process of the cluster was killed, again and again" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["muitos.csv"]
    assert batch.last_run().info.status == "FAILED"
    ended(cluster)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_job_that_is_stopped_leaves_no_output_and_no_process(
    batch: BatchJobs, cluster: Cluster, number: signal.Signals, tmp_path: Path
) -> None:
    process = under_way(batch, cluster.master)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert not alive
    ended(cluster)
    assert not (tmp_path / "saida.csv").exists()
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert said == ""
        assert [path.name for path in tmp_path.iterdir()] == ["muitos.csv"]
        assert batch.last_run().info.status == "KILLED"


@pytest.mark.slow
def test_a_bad_row_in_the_last_file_is_listed_with_its_line(
    batch: BatchJobs, cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "tabelas"
    folder.mkdir()
    for number in range(5):
        rows = "".join(f"boneca {n};de pano\n" for n in range(40))
        (folder / f"{number}.csv").write_text(f"nome;descricao\n{rows}", encoding="utf-8")
    with (folder / "4.csv").open("a", encoding="utf-8") as last:
        last.write("a;b;c\n")
    same(batch, cluster.master, "--input", folder)
    listed = (tmp_path / "ruins-spark.csv").read_text(encoding="utf-8")
    assert f"{folder}/4.csv;42;too many fields;a;b;c" in listed.replace('"', "")


@pytest.mark.slow
def test_a_file_that_is_cut_off_in_the_end_leaves_yesterdays_output(
    batch: BatchJobs, cluster: Cluster, tmp_path: Path
) -> None:
    """Found out when all the others are done, by whoever reads it."""
    folder = tmp_path / "tabelas"
    folder.mkdir()
    untidy(folder / "a.csv", 12_000)
    packed = subprocess.run(
        ["gzip", "--stdout", folder / "a.csv"], capture_output=True, check=True
    ).stdout
    (folder / "b.csv.gz").write_bytes(packed[:-9])
    (tmp_path / "saida.csv").write_text("de ontem", encoding="utf-8")
    on_spark = ("--engine", "spark", "--spark-master", cluster.master)
    line = batch.refused("--input", folder, "--output", "saida.csv", *on_spark)
    assert "b.csv.gz: cannot be read" in line
    assert (tmp_path / "saida.csv").read_text(encoding="utf-8") == "de ontem"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saida.csv", "tabelas"]
    assert batch.last_run().info.status == "FAILED"

    # Into a table, of which the rows above the cut are in one transaction.
    (tmp_path / "ontem.csv").write_text("id;nome;descricao;preco\n1;halo;;9\n", encoding="utf-8")
    url = f"sqlite:///{tmp_path}/saidas.db"
    codes = []
    for source in ("ontem.csv", "tabelas"):
        done = batch.run(
            *("--input", source, "--output-table", "saida", "--engine", "spark"),
            BATCH_DATABASE_URL=url,
            SPARK_MASTER=cluster.master,
        )
        with closing(sqlite3.connect(tmp_path / "saidas.db")) as connection:
            ((rows,),) = connection.execute("select count(*) from saida")
        codes.append((done.returncode, batch.last_run().info.status, rows > 1))
    ended(cluster)
    assert codes == [(0, "FINISHED", False), (2, "FAILED", False)]
