"""What is said where Spark cannot be had."""

import socket
import sys
from pathlib import Path

import pytest

from produtos import spark
from produtos.errors import BadInput


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A `pyspark`, and the folder of a JAVA_HOME."""
    (tmp_path / "pyspark.py").touch()
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return tmp_path


def java(home: Path, version: str) -> None:
    program = home / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)


def test_without_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "pyspark", raising=False)
    with pytest.raises(BadInput, match=r"pyspark is not installed for .*; run make env-spark"):
        spark.check()


def test_without_java(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=f"JAVA_HOME={installed} has no bin/java; install Java 17"):
        spark.check()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(installed))
    with pytest.raises(BadInput, match="no java was found; install Java 17"):
        spark.check()


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.21"])
def test_a_java_that_is_too_old(installed: Path, version: str) -> None:
    java(installed, version)
    with pytest.raises(BadInput, match=r"is Java (8|11); it needs 17 or newer"):
        spark.check()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_java_that_will_do(installed: Path, version: str) -> None:
    java(installed, version)
    spark.check()


@pytest.mark.parametrize("master", ["spark://alone", "spark://host:port", "spark://:7077"])
def test_a_master_that_is_no_address(monkeypatch: pytest.MonkeyPatch, master: str) -> None:
    monkeypatch.setattr(spark, "check", lambda: None)
    with pytest.raises(BadInput, match="write it as spark://host:7077"), spark.running(master, 0):
        pass


def test_a_master_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "check", lambda: None)
    with socket.socket() as taken:
        # Bound and not listening: nobody answers, and nobody else gets the port.
        taken.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadInput, match="nothing answers there"), spark.running(master, 0):
            pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ModuleNotFoundError: No module named 'skops.io'", "the cluster's Python has no skops;"),
        ("Python worker exited unexpectedly (crashed)", "for want of memory"),
        ("[PYTHON_VERSION_MISMATCH] 3.11 3.12", "set PYSPARK_PYTHON"),
        ("cannot\nstart", "cannot start"),
    ],
)
def test_what_went_wrong_on_the_cluster_is_said_in_one_line(error: str, said: str) -> None:
    reason = spark._reason(RuntimeError(error))
    assert said in reason
    assert "\n" not in reason


def test_spark_s_own_file_of_settings_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert spark._settings(0)["spark.executor.memory"] == "512m"
    (tmp_path / "spark-defaults.conf").write_text(
        "# ours\n\n  spark.executor.memory  2g\nspark.ui.enabled=true\n", encoding="utf-8"
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    settings = spark._settings(3)
    assert not {"spark.executor.memory", "spark.ui.enabled"} & settings.keys()
    assert (settings["spark.cores.max"], settings["spark.driver.memory"]) == ("3", "512m")
