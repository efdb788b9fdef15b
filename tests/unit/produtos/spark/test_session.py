"""How Spark is set up, and what is said of what goes wrong in it."""

import os
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from produtos.errors import BadInput
from produtos.spark import session


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ModuleNotFoundError: No module named 'skops.io'", "the cluster's Python has no skops;"),
        ("Python worker exited unexpectedly (crashed)", "for want of memory"),
        ("[PYTHON_VERSION_MISMATCH] 3.11 3.12", "set PYSPARK_PYTHON"),
        ("Job 3 cancelled as part of cancellation of all jobs", "no worker has given another"),
        ("Cannot call methods on a stopped SparkContext.", "the cluster ended the job"),
        ("cannot\nstart", "cannot start"),
    ],
)
def test_what_went_wrong_on_the_cluster_is_said_in_one_line(error: str, said: str) -> None:
    reason = session._reason(RuntimeError(error))
    assert said in reason
    assert "\n" not in reason


def test_spark_s_own_file_of_settings_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert session._settings(0)["spark.executor.memory"] == "512m"
    (tmp_path / "spark-defaults.conf").write_text(
        "# ours\n\n  spark.executor.memory  2g\nspark.ui.enabled=true\n", encoding="utf-8"
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    settings = session._settings(3)
    assert not {"spark.executor.memory", "spark.ui.enabled"} & settings.keys()
    assert (settings["spark.cores.max"], settings["spark.driver.memory"]) == ("3", "512m")


class Context:
    """Stands for pyspark's: it does the work at once, and `broken` calls fail."""

    def __init__(self, *broken: str) -> None:
        self.calls: list[str] = []
        self.archives: list[str] = []
        self._broken = broken

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self._broken:
            raise RuntimeError(name)

    @property
    def defaultParallelism(self) -> int:
        self._call("defaultParallelism")
        return 4

    def addArchive(self, path: str) -> None:
        self._call("addArchive")
        self.archives.append(path)

    def parallelize(self, items: list[Any], parts: int) -> Any:
        assert parts == 1
        self._items = items
        return self

    def map(self, do: Any) -> Any:
        self._items = [do(item) for item in self._items]
        return self

    def collect(self) -> list[Any]:
        self._call("collect")
        return self._items

    def cancelAllJobs(self) -> None:
        self._call("cancelAllJobs")

    def stop(self) -> None:
        self._call("stop")


def test_work_is_done_on_the_cluster_and_its_failure_is_said(tmp_path: Path) -> None:
    spark = session.Session(Context(), tmp_path)
    assert spark.submit(lambda item: item * 2, b"ab").result() == b"abab"
    assert spark.at_once() == 9
    broken = session.Session(Context("collect", "defaultParallelism", "addArchive"), tmp_path)
    with pytest.raises(BadInput, match="Spark could not do it: collect"):
        broken.submit(lambda item: item, b"").result()
    with pytest.raises(BadInput, match="Spark could not do it: defaultParallelism"):
        broken.at_once()
    with pytest.raises(BadInput, match="Spark could not do it: addArchive"):
        broken.send(str(tmp_path), "modelo-0")
    for each in (spark, broken):
        each.end()


def sent(archive: str) -> tuple[Path, str]:
    """A file, and its name on the cluster: Java's URI takes no spaces."""
    assert " " not in archive
    parts = urlsplit(archive)
    return Path(unquote(parts.path)), parts.fragment


def test_a_folder_is_sent_in_one_piece_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "modelo").mkdir()
    (tmp_path / "modelo" / "MLmodel").write_text("x")
    (tmp_path / "um lugar").mkdir()
    context = Context()
    session.Session(context, tmp_path / "um lugar").send(str(tmp_path / "modelo"), "modelo-0")
    [archive] = context.archives
    path, name = sent(archive)
    assert name == "modelo-0"
    assert zipfile.ZipFile(path).read("MLmodel") == b"x"


@pytest.mark.parametrize("broken", [(), ("cancelAllJobs",), ("cancelAllJobs", "stop")])
def test_its_end_is_the_end_of_all_work_even_of_a_cluster_that_is_gone(
    tmp_path: Path, broken: tuple[str, ...]
) -> None:
    context = Context(*broken)
    spark = session.Session(context, tmp_path)
    spark.end()
    assert context.calls == ["cancelAllJobs", "stop"]
    with pytest.raises(RuntimeError, match="after shutdown"):
        spark.submit(lambda item: item, b"")


def test_a_cluster_is_sent_the_code_and_this_machine_finds_it_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/others")
    assert session._code("local[2]", tmp_path) == {}
    code, others = os.environ["PYTHONPATH"].split(os.pathsep)
    assert others == "/others"
    assert Path(code, "produtos", "spark", "session.py").is_file()
    assert list(tmp_path.iterdir()) == []
    settings = session._code("spark://h:7077", tmp_path)
    path, name = sent(settings["spark.archives"])
    assert settings["spark.executorEnv.PYTHONPATH"] == name
    names = zipfile.ZipFile(path).namelist()
    assert {"produtos/spark/session.py", "nltk_data/corpora/stopwords/portuguese"} <= {*names}
    assert not any("__pycache__" in each for each in names)


class Cluster:
    """With so many executors, this process among them, each time that it is asked."""

    def __init__(self, *executors: int) -> None:
        self._executors = iter(executors)
        self._jsc = self

    def sc(self) -> Any:
        return self

    statusTracker = sc

    def getExecutorInfos(self) -> range:
        return range(next(self._executors))


@pytest.mark.parametrize(
    ("master", "where"), [("spark://h:7077", "its web page"), ("k8s://https://h:1", "kubectl")]
)
def test_an_executor_is_waited_for_but_not_for_ever(
    master: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    session._wait_for_an_executor(Cluster(1, 1, 2), master)
    monkeypatch.setattr(session, "EXECUTOR_WITHIN", -1)
    with pytest.raises(BadInput, match=f"--spark-master {master}: no .*{where}"):
        session._wait_for_an_executor(Cluster(1), master)


def test_kubernetes_is_told_which_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    monkeypatch.setattr(session, "check", lambda _: None)
    with (
        pytest.raises(BadInput, match=r"set spark\.kubernetes\.container\.image in"),
        session.running("k8s://https://h:1"),
    ):
        pass


class LostCluster(Cluster):
    """Of which nothing is left after some looks."""

    def __init__(self, *executors: int) -> None:
        super().__init__(*executors)
        self.is_cancelled = threading.Event()

    def getExecutorInfos(self) -> range:
        return range(next(self._executors, 1))

    def cancelAllJobs(self) -> None:
        self.is_cancelled.set()

    def stop(self) -> None:
        pass


def test_work_that_no_executor_is_left_for_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "EXECUTOR_WITHIN", 0)
    cluster = LostCluster(2)
    spark = session.Session(cluster, tmp_path)
    spark.watch()
    assert cluster.is_cancelled.wait(60)
    spark.end()


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("INFO all is well\njava.net.BindException: no port\nmore\n", "BindException: no port"),
        ("INFO all is well\n", "the gateway is gone"),
    ],
)
def test_why_it_did_not_start_is_in_its_log_or_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the gateway is gone")

    conf = SimpleNamespace(setAll=lambda _: None)
    spark = SimpleNamespace(SparkConf=lambda **_: conf, SparkContext=fail)
    monkeypatch.setitem(sys.modules, "pyspark", spark)
    gateway = SimpleNamespace(launch_gateway=lambda *_: None)
    monkeypatch.setitem(sys.modules, "pyspark.java_gateway", gateway)
    for name in ("PYSPARK_PYTHON", "SPARK_LOCAL_IP"):
        monkeypatch.setenv(name, "of this machine")
    (tmp_path / "spark.log").write_text(log)
    with pytest.raises(BadInput, match="did not start on local") as raised:
        session._start({"spark.master": "local[2]"}, None, tmp_path / "spark.log")
    assert str(raised.value).endswith(said)


@pytest.mark.parametrize(
    ("there", "here", "both"),
    [
        ({}, "localhost,.corp", "localhost,.corp"),
        ({"NO_PROXY": "s3"}, "localhost", "s3,localhost"),
        ({"NO_PROXY": "s3", "no_proxy": "s3,db"}, "db,localhost", "s3,db,localhost"),
        ({"no_proxy": "*"}, "localhost", "*"),
        ({"no_proxy": "s3"}, "", "s3"),
    ],
)
def test_no_proxy_is_asked_for_what_is_direct_here_or_there(
    there: dict[str, str], here: str, both: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in there.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", "there")
    for _ in range(2):
        session.take_over({"AWS_REGION": "here"} | ({"no_proxy": here} if here else {}))
    assert (os.environ["AWS_REGION"], os.environ["no_proxy"]) == ("here", both)
