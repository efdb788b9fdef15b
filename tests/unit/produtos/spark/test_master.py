"""What is said where Spark cannot be had."""

import socket
import sys
from pathlib import Path

import pytest

from produtos.errors import BadInput
from produtos.spark import master
from tests.support.commands import program

LOCAL = "local[*]"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A `pyspark`, and the folder of a JAVA_HOME."""
    (tmp_path / "pyspark.py").touch()
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.delenv("SPARK_HOME", raising=False)
    return tmp_path


def java(home: Path, version: str) -> None:
    program(home / "bin" / "java", f"echo 'openjdk version \"{version}\" 2025-04-15' >&2")


def test_without_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "pyspark", raising=False)
    with pytest.raises(BadInput, match=r"pyspark is not installed for .*; run make env-spark"):
        master.check(LOCAL)


def test_without_java(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=f"JAVA_HOME={installed} has no bin/java; install Java 17"):
        master.check(LOCAL)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(installed))
    with pytest.raises(BadInput, match="no java was found; install Java 17"):
        master.check(LOCAL)


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.21"])
def test_a_java_that_is_too_old(installed: Path, version: str) -> None:
    java(installed, version)
    with pytest.raises(BadInput, match=r"is Java (8|11); it needs 17 or newer"):
        master.check(LOCAL)


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_java_that_will_do(installed: Path, version: str) -> None:
    java(installed, version)
    master.check(LOCAL)


@pytest.mark.parametrize(
    ("jar", "is_good"),
    [
        ("spark-core_2.13-4.3.0.jar", True),
        ("spark-core_2.13-4.3.0-of-a-vendor.jar", True),
        ("spark-core_2.12-3.5.1.jar", False),
        ("spark-sql_2.13-4.3.0.jar", False),
    ],
)
def test_a_spark_home_of_another_version(
    installed: Path, monkeypatch: pytest.MonkeyPatch, jar: str, is_good: bool
) -> None:
    java(installed, "17")
    (installed / "jars").mkdir()
    (installed / "jars" / jar).touch()
    monkeypatch.setenv("SPARK_HOME", str(installed))
    monkeypatch.setattr(master, "version", lambda _: "4.3.0")
    if is_good:
        master.check(LOCAL)
    else:
        with pytest.raises(BadInput, match=f"SPARK_HOME={installed} is not Spark 4.3.0"):
            master.check(LOCAL)


def test_a_master_with_an_address_of_ipv6(installed: Path) -> None:
    java(installed, "17")
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 on its loopback")
    with listening:
        master.check(f"spark://[::1]:{listening.getsockname()[1]}")


@pytest.mark.parametrize("address", ["spark://alone", "spark://host:port", "spark://:7077"])
def test_a_master_that_is_no_address(installed: Path, address: str) -> None:
    java(installed, "17")
    with pytest.raises(BadInput, match="write it as spark://host:7077"):
        master.check(address)


def test_a_master_that_does_not_answer(installed: Path) -> None:
    java(installed, "17")
    with socket.socket() as taken:
        # Bound and not listening: nobody answers, and nobody else gets the port.
        taken.bind(("127.0.0.1", 0))
        address = f"spark://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadInput, match="nothing answers there"):
            master.check(address)
