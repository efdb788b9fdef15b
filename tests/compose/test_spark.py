"""compose.spark.yml: from the stack's S3 into tables of its MySQL, and a sweep, on two workers."""

import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.compose.conftest import base_images
from tests.compose.stack import Stack, wait_until
from tests.compose.test_5_batch import address, csv_bytes, job, secrets, uncommitted
from tests.support.commands import ROOT, completed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

ROWS = 400_000
KEY = "lotes/muitos.csv"
WHOLE = (
    "COUNT(*), COUNT(DISTINCT id), "
    "SUM(CRC32(CONCAT_WS(';', id, nome, descricao, categoria_prevista, versao, modelo)))"
)
"""Of two tables that have the same rows it is the same."""


@pytest.fixture(scope="module")
def spark(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """The stack with a cluster, started as the docs say, and a table in its bucket."""
    one = new_stack(ROOT / "compose.spark.yml")
    one.env_files = base_images(tmp_path_factory.mktemp("spark") / "offline.env", "spark").env_files
    up = ("up", "--build", "--detach", "--scale", "spark-worker=2")
    one.compose(*up, timeout=1800)
    one.wait_trained()
    one.wait_healthy()
    rows = [(str(n), "boneca" if n % 3 else "halo", f"de pano, número {n}") for n in range(ROWS)]
    one.s3().put_object(Bucket=one.setting("AWS_BUCKET_NAME"), Key=KEY, Body=csv_bytes(rows))
    yield one
    one.forget()


def into(stack: Stack, table: str, engine: str = "spark") -> list[str]:
    """The line of a job, after `docker compose`."""
    return job("--input", address(stack, KEY), "--output-table", table, "--engine", engine)


@contextmanager
def under_way(stack: Stack, table: str) -> Iterator[Future[subprocess.CompletedProcess[str]]]:
    """A job on Spark that has begun to write."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(stack.try_compose, *into(stack, table), timeout=900)
        wait_until(lambda: done.done() or uncommitted(stack, table) > 0, "the job to write")
        assert not done.done(), done.result().stderr
        yield done


def whole(stack: Stack, table: str) -> str:
    return stack.sql(f"SELECT {WHOLE} FROM {table}")


def last_status(stack: Stack) -> str:
    """Of the run that began last."""
    return str(max(stack.runs(), key=lambda run: run["info"]["start_time"])["info"]["status"])


@pytest.fixture(scope="module")
def expected(spark: Stack) -> str:
    """What a table has in it that was written on one machine."""
    spark.compose(*into(spark, "deste_contentor", "local"), timeout=900)
    return whole(spark, "deste_contentor")


def test_a_table_is_that_of_one_machine_and_both_workers_had_a_part(
    spark: Stack, expected: str
) -> None:
    spark.compose(*into(spark, "do_cluster"), timeout=900)
    assert whole(spark, "do_cluster") == expected
    assert expected.startswith(f"{ROWS}\t{ROWS}\t")
    workers = spark.compose("ps", "--quiet", "spark-worker").split()
    assert len(workers) == 2
    for worker in workers:
        line = ["docker", "logs", worker]
        log = completed(line, check=True)
        said = log.stdout + log.stderr
        assert "Asked to launch executor" in said
        assert not any(secret in said for secret in secrets(spark))


def sweeps(stack: Stack) -> list[dict[str, tuple[str, dict[str, float]]]]:
    """Of each sweep the runs by their names: how they ended, and their figures."""
    found: dict[str, dict[str, tuple[str, dict[str, float]]]] = defaultdict(dict)
    for run in stack.runs():
        info, data = run["info"], run["data"]
        tags = {each["key"]: each["value"] for each in data.get("tags", [])}
        metrics = {each["key"]: each["value"] for each in data.get("metrics", [])}
        metrics.pop("training_seconds", None)
        if parent := tags.get("mlflow.parentRunId"):
            found[parent][info["run_name"]] = info["status"], metrics
    return list(found.values())


def test_a_sweep_makes_the_runs_of_one_container(spark: Stack) -> None:
    line = ("run", "--rm", "-T", "--entrypoint", "python", "batch")
    said = spark.compose(*line, "/app/sweep.py", "--engine", "spark", timeout=900)
    assert "registered as classificador-produtos version 2, Staging" in said
    # The trainer has made the first when the stack started.
    one, other = sweeps(spark)
    assert len(one) == 10
    assert one == other
    assert {status for status, _ in one.values()} == {"FINISHED"}


def test_a_worker_that_is_killed_costs_the_table_no_row(spark: Stack, expected: str) -> None:
    with under_way(spark, "sem_um") as done:
        spark.kill_9("spark-worker")
        assert done.result().returncode == 0, done.result().stderr
    assert whole(spark, "sem_um") == expected
    assert last_status(spark) == "FINISHED"


def test_a_database_that_breaks_off_has_no_row_of_the_job(spark: Stack) -> None:
    root = ("exec", "-T", "-e", f"MYSQL_PWD={spark.setting('MYSQL_ROOT_PASSWORD')}", "db", "mysql")
    ask = (*root, "--user=root", "--batch", "--skip-column-names", "--execute")
    largest = (
        "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx "
        "ORDER BY trx_rows_modified DESC LIMIT 1"
    )
    with under_way(spark, "nenhuma") as done:
        spark.compose(*ask, f"KILL {spark.compose(*ask, largest).strip()}")
        assert done.result().returncode == 2
    # Compose says there, too, that the cluster is up.
    said = done.result().stderr.splitlines()
    (line,) = [each for each in said if each.startswith("batch.py: ")]
    assert "#nenhuma: the database could not do it" in line
    assert not any(secret in line for secret in secrets(spark))
    assert spark.sql("SELECT COUNT(*) FROM nenhuma") == "0"
    assert last_status(spark) == "FAILED"
