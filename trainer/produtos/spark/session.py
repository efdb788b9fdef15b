"""Spark, started for one command and ended with it."""

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from produtos.errors import BadInput, in_one_line
from produtos.language import tr
from produtos.spark.master import LOCAL, check
from produtos.text import NLTK_DATA

EXECUTOR_WITHIN = 120
"""Seconds until the cluster has given the job a first executor, or another in place of the last."""

NO_WORKER = tr(
    "--spark-master {master}: no worker has taken the job within "
    "{seconds} s; see on its web page that there are workers with a core "
    "and the memory that an executor asks for (512 MB, unless "
    "spark-defaults.conf says otherwise), and that they reach this machine by "
    "its name (else SPARK_LOCAL_IP, its address)"
)
NO_POD = tr(
    "--spark-master {master}: no pod has taken the job within {seconds} s; while it waits, kubectl "
    "get events says in its namespace whether the image is found and a node has room, and kubectl "
    "logs whether the pods reach this machine by its name (else SPARK_LOCAL_IP, its address)"
)
ENDED = tr("the cluster ended the job; its web page or its log says why")
SIGNS = {
    "Python worker exited unexpectedly": tr(
        "a Python process of the cluster was killed, again and again, most likely "
        "for want of memory; give the workers more, or let fewer run at a time with "
        "--workers"
    ),
    "PYTHON_VERSION_MISMATCH": tr(
        "the cluster's Python is of another version than this one; set "
        "PYSPARK_PYTHON to the path of one like this that is on every machine of the "
        "cluster"
    ),
    "ExecutorLostFailure": tr(
        "an executor was lost, again and again, most likely for want of memory; give "
        "the executors more (spark.executor.memory in spark-defaults.conf)"
    ),
    "Cannot run program": tr(
        "the cluster has no Python where this machine has one; set PYSPARK_PYTHON to its path there"
    ),
    "SparkContext was shut down": ENDED,
    "stopped SparkContext": ENDED,
    "cancellation of all jobs": tr(
        "the last executor was lost, and no worker has given another one within {seconds} s"
    ).format(seconds=EXECUTOR_WITHIN),
}
"""What an error of Spark's means that has this in it, and what to do."""

ERROR_LINE = re.compile(r"^.*(?:Exception|Error|ERROR).*$", re.M)
JAVA_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"

SHARED = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("LINGUA", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"),
)
"""Variables that are the same on the cluster: `command.run` has set the first, the others are the
language of messages."""

IMAGE = {"spark.kubernetes.container.image", "spark.kubernetes.executor.container.image"}
"""Settings of Spark's, one of which Kubernetes needs: without, nobody makes the pods waited for."""

CODE = "trainer"
"""The folder with this project's code on the cluster."""

MISSING_MODULE = re.compile(r"No module named '(\w+)")

Item = TypeVar("Item")


class Session:
    """A Spark that runs.

    Args:
        context: pyspark's.
        folder: for what is sent to the cluster.
    """

    def __init__(self, context: Any, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._is_ended = threading.Event()
        # Each waits for one piece of work; `at_once` says how many there are.
        self._threads = ThreadPoolExecutor(1 << 16)

    def send(self, folder: str, name: str) -> None:
        """Send a folder to every machine that takes part, where `received` finds it."""
        zipped = Path(shutil.make_archive(str(self._folder / name), "zip", folder))
        with _errors_of_spark():
            self._context.addArchive(_archive(zipped, name))

    def at_once(self) -> int:
        """Pieces of work that keep every core of the cluster busy: it may grow meanwhile."""
        with _errors_of_spark():
            return 2 * int(self._context.defaultParallelism) + 1

    def submit(self, do: Callable[[Item], bytes], item: Item) -> Future[bytes]:
        """Have something done on the cluster."""
        return self._threads.submit(self._do, do, item)

    def _do(self, do: Callable[[Item], bytes], item: Item) -> bytes:
        with _errors_of_spark():
            done: list[bytes] = self._context.parallelize([item], 1).map(do).collect()
        return done[0]

    def watch(self) -> None:
        """From now on end all work that no executor is left for: Spark would wait for ever."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        seen = time.monotonic()
        while not self._is_ended.wait(1):
            with suppress(Exception):
                if _has_executors(self._context):
                    seen = time.monotonic()
                elif time.monotonic() - seen > EXECUTOR_WITHIN:
                    self._context.cancelAllJobs()

    def end(self) -> None:
        """Whatever is under way is of no use to anybody any more."""
        self._is_ended.set()
        with suppress(Exception):
            self._context.cancelAllJobs()
        with suppress(Exception):
            self._context.stop()
        self._threads.shutdown(cancel_futures=True)


def received(name: str) -> str:
    """On the cluster, the path of a folder that was sent."""
    from pyspark import SparkFiles

    return str(SparkFiles.get(name))


def take_over(variables: dict[str, str]) -> None:
    """On the cluster, use variables of the job's own process.

    What that asks of no proxy is asked of none there, too.
    """
    own = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    os.environ.update(variables)
    if theirs := variables.get("no_proxy"):
        direct = dict.fromkeys([*own.split(","), *theirs.split(",")])
        os.environ["no_proxy"] = "*" if "*" in direct else ",".join(filter(None, direct))


@contextmanager
def running(master: str, workers: int = 0, tries: int = 4) -> Iterator[Session]:
    """Spark, until the end of the block.

    Args:
        master: where, such as `local[*]` or `spark://host:7077`.
        workers: how many cores may be used; 0 for all that there are.
        tries: how often a piece of work is tried that was lost.

    Raises:
        BadInput: it does not start, or the cluster gives nothing.
    """
    check(master)
    if master.startswith("k8s://") and not IMAGE & _named_by_the_user():
        raise BadInput(
            "--spark-master {master}: nothing says which image its pods are of; set "
            "spark.kubernetes.container.image in spark-defaults.conf, in the folder that "
            "SPARK_CONF_DIR names",
            master=master,
        )
    if cores := LOCAL.fullmatch(master):
        # Else Spark tries nothing twice here.
        master = f"local[{workers or cores[1] or 1},{tries}]"
    with tempfile.TemporaryDirectory(prefix="batch-spark-") as name:
        folder = Path(name)
        log = folder / "spark.log"
        with log.open("wb") as file:
            settings = _settings(workers) | {"spark.task.maxFailures": str(tries)}
            settings |= _code(master, folder) | {"spark.master": master}
            settings["spark.app.name"] = "classificador-produtos"
            context = _start(settings, file, log)
        session = Session(context, folder)
        try:
            if not master.startswith("local"):
                _wait_for_an_executor(context, master)
                session.watch()
            yield session
        finally:
            session.end()


def _start(settings: dict[str, str], file: Any, log: Path) -> Any:
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    # The cluster's own Python must be of the same version: the same path is the likely place, but
    # in an image, whose own is found.
    if not settings["spark.master"].startswith("k8s://"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if LOCAL.match(settings["spark.master"]):
        # Nobody else is to come in, and it need not know what this machine is called.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    before = signal.getsignal(signal.SIGINT)
    try:
        # What Spark has to say is for who looks for a fault.
        output = {} if os.environ.get("TRAINER_DEBUG") else {"stdout": file, "stderr": file}
        return SparkContext(gateway=launch_gateway(conf, output), conf=conf)
    except Exception as error:
        said = ERROR_LINE.findall(log.read_text("utf-8", "replace"))
        reason = said[-1].strip() if said else in_one_line(error)
        raise BadInput(
            "Spark did not start on {master}: {more}", master=settings["spark.master"], more=reason
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
        # Python's, beside it: Kubernetes ends a pod that takes more than both.
        "spark.executor.memoryOverhead": "768m",
        # The work is Python's: what makes Java fast after a minute only delays it.
        "spark.driver.extraJavaOptions": JAVA_OPTIONS,
        "spark.executor.extraJavaOptions": JAVA_OPTIONS,
    }
    settings |= {
        f"spark.executorEnv.{name}": os.environ[name] for name in SHARED if os.environ.get(name)
    }
    if workers:
        settings |= {"spark.cores.max": str(workers), "spark.executor.instances": str(workers)}
    named = _named_by_the_user()
    return {name: value for name, value in settings.items() if name not in named}


def _named_by_the_user() -> set[str]:
    """What stands in Spark's own file of settings, over which ours would win."""
    folder = os.environ.get("SPARK_CONF_DIR") or f"{os.environ.get('SPARK_HOME')}/conf"
    path = Path(folder, "spark-defaults.conf")
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return {re.split(r"[\s=:]", line.strip(), maxsplit=1)[0] for line in lines}


def _code(master: str, folder: Path) -> dict[str, str]:
    """Let the cluster's Python import this project."""
    root = NLTK_DATA.parent
    if master.startswith("local"):
        paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        return {}
    # Unpacked there, in the folder that an executor runs in: some of it is read as files.
    path = folder / f"{CODE}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in (*(root / "produtos").rglob("*"), *NLTK_DATA.rglob("*")):
            if "__pycache__" not in file.parts:
                zipped.write(file, file.relative_to(root))
    return {"spark.archives": _archive(path, CODE), "spark.executorEnv.PYTHONPATH": CODE}


def _archive(path: Path, name: str) -> str:
    """How Spark is told of a file and of what it is called on the cluster."""
    return f"{path.as_uri()}#{name}"


def _wait_for_an_executor(context: Any, master: str) -> None:
    deadline = time.monotonic() + EXECUTOR_WITHIN
    while not _has_executors(context):
        if time.monotonic() > deadline:
            said = NO_POD if master.startswith("k8s://") else NO_WORKER
            raise BadInput(said.format(master=master, seconds=EXECUTOR_WITHIN))
        time.sleep(0.1)


def _has_executors(context: Any) -> bool:
    with _errors_of_spark():
        # This process is one of them.
        return len(context._jsc.sc().statusTracker().getExecutorInfos()) > 1


@contextmanager
def _errors_of_spark() -> Iterator[None]:
    """An error of Spark's inside is a BadInput."""
    try:
        yield
    except Exception as error:
        raise BadInput("Spark could not do it: {reason}", reason=_reason(error)) from None


def _reason(error: Exception) -> str:
    said = str(error)
    if missing := MISSING_MODULE.search(said):
        return tr(
            "the cluster's Python has no {missing}; install trainer/requirements.txt "
            "there, or set PYSPARK_PYTHON to the path of one that has it"
        ).format(missing=missing[1])
    return next((meaning for sign, meaning in SIGNS.items() if sign in said), in_one_line(error))
