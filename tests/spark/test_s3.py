"""From S3 to S3: the cluster gets keys and address with the work, and nothing in its settings."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from produtos.io import storage
from tests.e2e.batch_jobs import BatchJobs
from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.e2e.small_s3 import running_s3
from tests.spark.conftest import Cluster
from tests.spark.test_batch import untidy
from tests.spark.test_faults import LARGE, ended


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Those of an S3; this process, and so the cluster that it starts, has none of them."""
    with running_s3(tmp_path_factory.mktemp("s3")) as variables:
        yield variables


@contextmanager
def client_of(variables: dict[str, str]) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as own:
        for name in storage.ENDPOINT_VARIABLES:
            own.delenv(name, raising=False)
        for name, value in variables.items():
            own.setenv(name, value)
        storage.s3.cache_clear()
        yield storage.s3()
        storage.s3.cache_clear()


@pytest.fixture
def s3(variables: dict[str, str]) -> Iterator[Any]:
    with client_of(variables) as client:
        yield client


def start(
    batch: BatchJobs, cluster: Cluster, variables: dict[str, str], *options: str
) -> subprocess.Popen[str]:
    on_spark = ("--engine", "spark", "--spark-master", cluster.master)
    return batch.start(*options, *on_spark, **variables)


def test_a_prefix_to_an_object(
    batch: BatchJobs, cluster: Cluster, variables: dict[str, str], s3: Any, tmp_path: Path
) -> None:
    s3.create_bucket(Bucket="lotes")
    large = untidy(tmp_path / "a.csv", 12_000)
    s3.upload_file(str(large), "lotes", "produtos/2026/a.csv")
    body = b"id;nome;descricao;preco\n1;boneca;de pano;9\n2;;;\n"
    s3.put_object(Bucket="lotes", Key="produtos/2027/b.csv", Body=body)
    # Its header is written in another way, so its columns are others: it is a job of its own.
    for source in ("s3://lotes/produtos/2026", "s3://lotes/produtos/2027/b.csv"):
        said, outputs = [], []
        for name in ("local", "spark"):
            address = f"s3://lotes/respostas/{name}.csv"
            options = ("--input", source, "--output", address, "--engine", name)
            _, told = batch.done(*options, **variables, SPARK_MASTER=cluster.master)
            said.append(told.split(" in ")[0])
            keys = (f"respostas/{name}.csv", f"respostas/{name}.rejeitadas.csv")
            outputs.append([s3.get_object(Bucket="lotes", Key=k)["Body"].read() for k in keys])
        assert said[0] == said[1]
        assert outputs[0] == outputs[1]


def gateway(variables: dict[str, str]) -> psutil.Process:
    """The S3 with this address."""
    # Not by its command line, which it writes anew to hide what is in it.
    port = int(variables["MLFLOW_S3_ENDPOINT_URL"].rpartition(":")[2])
    return next(
        child
        for child in psutil.Process().children()
        if any(
            each.status == "LISTEN" and each.laddr.port == port for each in child.net_connections()
        )
    )


def test_an_s3_that_is_away_for_seconds_is_waited_for(
    batch: BatchJobs, cluster: Cluster, variables: dict[str, str], s3: Any, tmp_path: Path
) -> None:
    s3.create_bucket(Bucket="longe")
    s3.upload_file(str(untidy(tmp_path / "a.csv", 12_000)), "longe", "a.csv")
    address = ("--input", "s3://longe/a.csv")
    batch.done(*address, "--output", "local.csv", **variables)
    process = start(batch, cluster, variables, *address, "--output", "saida.csv")
    eventually(lambda: cluster.executors() or process.poll() is not None, "no executor has begun")
    store = gateway(variables)
    store.suspend()
    try:
        # Shorter than what the client waits for an answer.
        time.sleep(storage.S3_SECONDS / 2)
    finally:
        store.resume()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert (tmp_path / "saida.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("goes", ["killed", "silent"])
def test_an_s3_that_is_gone_ends_the_job_with_one_line(
    server: MlflowServer, cluster: Cluster, goes: str, tmp_path: Path
) -> None:
    (tmp_path / "s3").mkdir()
    folder = tmp_path / "job"
    folder.mkdir()
    batch = BatchJobs(server, folder)
    with running_s3(tmp_path / "s3") as own, client_of(own) as s3:
        s3.create_bucket(Bucket="sumido")
        s3.upload_file(str(untidy(tmp_path / "a.csv", LARGE)), "sumido", "a.csv")
        address = ("--input", "s3://sumido/a.csv", "--output", "s3://sumido/saida.csv")
        process = start(batch, cluster, own, *address)
        eventually(
            lambda: (
                process.poll() is not None
                or any(part.stat().st_size > 0 for part in folder.glob("batch-*.part"))
            ),
            "the job has not begun to write",
        )
        store = gateway(own)
        store.kill() if goes == "killed" else store.suspend()
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2, said
        (line,) = said.splitlines()
        assert "input s3://sumido/a.csv: cannot be read" in line
        assert list(folder.iterdir()) == []
        assert batch.last_run().info.status == "FAILED"
        ended(cluster)
        if goes == "silent":
            store.resume()
            assert [each["Key"] for each in s3.list_objects_v2(Bucket="sumido")["Contents"]] == [
                "a.csv"
            ]
