"""Spark, started for one job and ended with it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import produtos
from produtos.batch.answered import Form
from produtos.batch.io.storage import ENDPOINT_VARIABLES
from produtos.batch.pool import ModelFolder
from produtos.batch.spark import worker
from produtos.batch.spark.worker import Work
from produtos.command import DEFAULTS
from produtos.errors import BadInput, in_one_line
from produtos.language import tr

OLDEST_JAVA = 17

ANSWERS_WITHIN = 5
"""Seconds for the master's port."""

EXECUTOR_WITHIN = 120
"""Seconds until the cluster has given the job a first executor."""

SENT = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED"),
    *ENDPOINT_VARIABLES,
)
"""Variables that go to the cluster with each piece of work, and not into Spark's settings, which
its web page shows."""

SIGNS = {
    "Python worker exited unexpectedly": (
        tr(
            "a Python process of the cluster was killed, again and again, most likely "
            "for want of memory; give the workers more, or let fewer run at a time with "
            "--workers"
        )
    ),
    "PYTHON_VERSION_MISMATCH": (
        tr(
            "the cluster's Python is of another version than this one; set "
            "PYSPARK_PYTHON to the path of one like this that is on every machine of the "
            "cluster"
        )
    ),
    "ExecutorLostFailure": (
        tr(
            "an executor was lost, again and again, most likely for want of memory; give "
            "the executors more (spark.executor.memory in spark-defaults.conf)"
        )
    ),
    "Cannot run program": (
        tr(
            "the cluster has no Python where this machine has one; set PYSPARK_PYTHON to "
            "its path there"
        )
    ),
    "SparkContext was shut down": tr("the cluster ended the job; its web page or its log says why"),
}
"""What an error of Spark's means that has this in it, and what to do."""

ERROR_LINE = re.compile(r"^.*(?:Exception|Error|ERROR).*$", re.M)
MISSING_MODULE = re.compile(r"No module named '(\w+)")


def check() -> None:
    """See that Spark can be started.

    Raises:
        BadInput: a part of it is not installed.
    """
    if find_spec("pyspark") is None:
        raise BadInput(
            tr(
                "--engine spark: pyspark is not installed for {executable}; run make "
                "env-spark, or install trainer/requirements-spark.txt"
            ).format(executable=sys.executable)
        )
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home, "bin", "java")) if home else "java")
    if java is None:
        where = (
            tr("JAVA_HOME={home} has no bin/java").format(home=home)
            if home
            else tr("no java was found")
        )
        raise BadInput(
            tr(
                "--engine spark: {where}; install Java {oldest} or newer, such as "
                "Debian's openjdk-17-jre-headless"
            ).format(where=where, oldest=OLDEST_JAVA)
        )
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version and int(version[1]) < OLDEST_JAVA:
        raise BadInput(
            tr(
                "--engine spark: {java} is Java {version}; it needs {oldest} or newer, "
                "and JAVA_HOME names one"
            ).format(java=java, version=version[1], oldest=OLDEST_JAVA)
        )


class Session:
    """A Spark that runs.

    Args:
        context: pyspark's.
        folder: for what is sent to the cluster.
    """

    def __init__(self, context: Any, folder: Path) -> None:
        self._context = context
        self._folder = folder
        # Each waits for one piece of work; `at_once` says how many there are.
        self._threads = ThreadPoolExecutor(1 << 16)

    def start_work(self, folders: Sequence[ModelFolder], form: Form) -> None:
        """Send models to every machine that takes part.

        Args:
            folders: the models.
            form: of the answers that they will give.
        """
        sent: list[ModelFolder] = []
        for number, (path, label) in enumerate(folders):
            name = f"modelo-{number}"
            zipped = shutil.make_archive(str(self._folder / name), "zip", path)
            self._context.addArchive(f"{zipped}#{name}")
            sent.append((name, label))
        self._answer = partial(worker.answer, folders=sent, form=form, settings=_sent())

    def at_once(self) -> int:
        """Pieces of work that keep every core of the cluster busy: it may grow meanwhile."""
        return 2 * int(self._context.defaultParallelism) + 1

    def submit(self, work: Work) -> Future[bytes]:
        """Have a piece of work done on the cluster."""
        return self._threads.submit(self._do, work)

    def _do(self, work: Work) -> bytes:
        try:
            answered: list[bytes] = self._context.parallelize([work], 1).map(self._answer).collect()
        except Exception as error:
            raise BadInput(
                tr("Spark could not do it: {reason}").format(reason=_reason(error))
            ) from None
        return answered[0]

    def end(self) -> None:
        """Whatever is under way is of no use to anybody any more."""
        with suppress(Exception):
            self._context.cancelAllJobs()
        with suppress(Exception):
            self._context.stop()
        self._threads.shutdown(cancel_futures=True)


@contextmanager
def running(master: str, workers: int) -> Iterator[Session]:
    """Spark, until the end of the block.

    Args:
        master: where, such as `local[*]` or `spark://host:7077`.
        workers: how many cores may be used; 0 for all that there are.

    Raises:
        BadInput: it does not start, or the cluster gives nothing.
    """
    check()
    if master.startswith("spark://"):
        _check_master(master)
    if master == "local[*]" and workers:
        master = f"local[{workers}]"
    with tempfile.TemporaryDirectory(prefix="batch-spark-") as name:
        folder = Path(name)
        log = folder / "spark.log"
        with log.open("wb") as file:
            context = _start(master, workers, file, log)
        session = Session(context, folder)
        try:
            context.addPyFile(_package(folder))
            if not master.startswith("local"):
                _wait_for_an_executor(context, master)
            yield session
        finally:
            session.end()


def _start(master: str, workers: int, file: Any, log: Path) -> Any:
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    # The cluster's own Python must be of the same version: the same path is the likely place.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf(loadDefaults=False).setMaster(master).setAppName("classificador-produtos")
    for setting, value in _settings(workers).items():
        conf.set(setting, value)
    before = signal.getsignal(signal.SIGINT)
    try:
        # What Spark has to say is for who looks for a fault.
        output = {} if os.environ.get("TRAINER_DEBUG") else {"stdout": file, "stderr": file}
        return SparkContext(gateway=launch_gateway(conf, output), conf=conf)
    except Exception as error:
        said = re.findall(
            r"^.*(?:Exception|Error|ERROR).*$", log.read_text("utf-8", "replace"), re.M
        )
        raise BadInput(
            tr("Spark did not start on {master}: {more}").format(
                master=master, more=said[-1].strip() if said else in_one_line(error)
            )
        ) from None
    finally:
        # Spark's own would raise KeyboardInterrupt.
        signal.signal(signal.SIGINT, before)


def _settings(workers: int) -> dict[str, str]:
    settings = {
        "spark.ui.enabled": "false",
        # Rows are in Python's memory; the rest of Spark is content with little.
        "spark.executor.memory": "512m",
        "spark.driver.memory": "512m",
        "spark.executorEnv.OMP_NUM_THREADS": DEFAULTS["OMP_NUM_THREADS"],
        "spark.executorEnv.OPENBLAS_NUM_THREADS": DEFAULTS["OPENBLAS_NUM_THREADS"],
        "spark.executorEnv.MLFLOW_LOGGING_LEVEL": DEFAULTS["MLFLOW_LOGGING_LEVEL"],
    }
    if workers:
        settings |= {"spark.cores.max": str(workers), "spark.executor.instances": str(workers)}
    return settings


def _sent() -> dict[str, str]:
    return {name: os.environ[name] for name in SENT if os.environ.get(name)}


def _package(folder: Path) -> str:
    """This project's code, as the cluster gets it."""
    root = Path(produtos.__file__).parent
    path = folder / "produtos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in sorted(root.rglob("*.py")):
            zipped.write(file, file.relative_to(root.parent))
    return str(path)


def _check_master(master: str) -> None:
    addresses = master.removeprefix("spark://").split(",")
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise BadInput(
                tr("--spark-master {master}: write it as spark://host:7077").format(master=master)
            )
        with suppress(OSError), socket.create_connection((host, int(port)), ANSWERS_WITHIN):
            return
    raise BadInput(
        tr(
            "--spark-master {master}: nothing answers there; start the master, or give "
            "another address"
        ).format(master=master)
    )


def _wait_for_an_executor(context: Any, master: str) -> None:
    tracker = context._jsc.sc().statusTracker()
    deadline = time.monotonic() + EXECUTOR_WITHIN
    # This process is one of them.
    while len(tracker.getExecutorInfos()) < 2:
        if time.monotonic() > deadline:
            raise BadInput(
                tr(
                    "--spark-master {master}: no worker has taken the job within "
                    "{seconds} s; see on its web page that there are workers, with 512 "
                    "MB and a core that is free"
                ).format(master=master, seconds=EXECUTOR_WITHIN)
            )
        time.sleep(0.1)


def _reason(error: Exception) -> str:
    said = str(error)
    if missing := MISSING_MODULE.search(said):
        return tr(
            "the cluster's Python has no {missing}; install trainer/requirements.txt "
            "there, or set PYSPARK_PYTHON to the path of one that has it"
        ).format(missing=missing[1])
    return next((meaning for sign, meaning in SIGNS.items() if sign in said), in_one_line(error))
