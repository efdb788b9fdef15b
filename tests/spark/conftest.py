"""A real standalone cluster: a master and two workers with little memory, each a process here."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from produtos.spark.session import JAVA_OPTIONS
from tests.e2e.batch_jobs import BatchJobs
from tests.e2e.conftest import MlflowServer, free_port, running_mlflow_server, stop_tree
from tests.e2e.hotserve_process import eventually
from tests.e2e.two_versions.versions import train_two_versions

PYSPARK = find_spec("pyspark")
MEMORY = "600m"
"""Of a worker: one executor of 512 MB."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Spark there is nothing to test here."""
    missing = [] if PYSPARK else ["pyspark (make env-spark)"]
    missing += [] if shutil.which("java") or os.environ.get("JAVA_HOME") else ["Java 17 or newer"]
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason=reason))


@dataclass(frozen=True)
class Cluster:
    """A master, its workers, and their logs.

    Attributes:
        master: its address, `spark://127.0.0.1:<port>`.
        home: the folder with the logs.
        workers: the processes that start executors.
    """

    master: str
    home: Path
    workers: list[subprocess.Popen[bytes]]

    def executors(self) -> list[psutil.Process]:
        """The executors of all jobs."""
        children: list[psutil.Process] = []
        for worker in self.workers:
            with suppress(psutil.NoSuchProcess):
                children += psutil.Process(worker.pid).children(recursive=True)
        return [each for each in children if "CoarseGrainedExecutorBackend" in _line(each)]

    def kill_python_until_over(self, job: subprocess.Popen[str]) -> None:
        """Kill whatever Python is at work for the executors until the job ends."""

        def is_over() -> bool:
            self._kill_python()
            return job.poll() is not None

        eventually(is_over, "the job goes on")

    def _kill_python(self) -> None:
        # One that is gone meanwhile is what is wanted.
        with suppress(psutil.NoSuchProcess):
            for executor in self.executors():
                for child in executor.children(recursive=True):
                    # The daemon stays; what it forks does the work.
                    if child.ppid() != executor.pid:
                        child.kill()

    def lose(self, worker: int) -> None:
        """Kill a worker with its executors, as if its machine were gone."""
        lost = psutil.Process(self.workers[worker].pid)
        for each in (lost, *lost.children(recursive=True)):
            # An executor may have ended with its worker.
            with suppress(psutil.NoSuchProcess):
                each.kill()


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def _daemon(home: Path, name: str, kind: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    assert PYSPARK is not None
    assert PYSPARK.origin is not None
    spark = Path(PYSPARK.origin).parent
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [spark / "bin" / "spark-class", f"org.apache.spark.deploy.{kind}", *arguments],
            env=os.environ
            | {
                "SPARK_HOME": str(spark),
                "SPARK_DAEMON_MEMORY": "128m",
                "SPARK_DAEMON_JAVA_OPTS": JAVA_OPTIONS,
                # A company's, which the job's own variables say not to ask.
                "http_proxy": "http://127.0.0.1:9",
            },
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        stop_tree(process)


@contextmanager
def running_cluster(home: Path, workers: int = 2) -> Iterator[Cluster]:
    """A master and its workers, which have registered."""
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    here = ("--host", "127.0.0.1", "--webui-port", "0")
    with ExitStack() as stack:
        stack.enter_context(_daemon(home, "master", "master.Master", *here, "--port", str(port)))
        size = ("--cores", "1", "--memory", MEMORY)
        started = [
            stack.enter_context(
                _daemon(
                    *(home, f"worker-{number}", "worker.Worker", *here, *size),
                    *("--work-dir", str(home / f"work-{number}"), master),
                )
            )
            for number in range(workers)
        ]
        log = home / "master.log"
        eventually(
            lambda: log.read_text("utf-8").count("Registering worker") == workers,
            f"the workers have not registered; see {home}",
        )
        yield Cluster(master, home, started)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests."""
    with running_cluster(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """Version 1, without accent handling, in Production; version 2, with it, in Staging."""
    with running_mlflow_server(tmp_path_factory.mktemp("batch") / "mlflow") as server:
        train_two_versions(server)
        yield server


@pytest.fixture
def batch(server: MlflowServer, tmp_path: Path) -> BatchJobs:
    """Jobs in the test's own folder."""
    return BatchJobs(server, tmp_path)
