"""Where Spark is, as a command line says it, and whether it can be started."""

import os
import re
import shutil
import socket
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from produtos.errors import BadInput, without_secrets
from produtos.language import tr

VARIABLE = "SPARK_MASTER"
LOCAL = re.compile(r"local(?:\[(\d+|\*)\])?")
CLUSTERS = ("spark://", "k8s://")

OLDEST_JAVA = 17

ANSWERS_WITHIN = 5
"""Seconds for the master's port."""


def add_options(parser: ArgumentParser) -> None:
    """Accept where the work is to be done."""
    parser.add_argument(
        "--engine",
        default="local",
        choices=("local", "spark"),
        help=tr("what does the work: the processes of this machine, or Spark (default: local)"),
    )
    parser.add_argument(
        *("--spark-master", "--spark_master"),
        default="",
        metavar="ADDRESS",
        help=tr("of --engine spark (else SPARK_MASTER, else local[*])"),
    )


def master_of(given: Namespace) -> str:
    """Where Spark is that a command line asks for; nothing if it asks for none.

    Raises:
        BadInput: it is no address of one.
    """
    if given.engine != "spark":
        return ""
    master: str = given.spark_master or os.environ.get(VARIABLE) or "local[*]"
    if not LOCAL.fullmatch(master) and not master.startswith(CLUSTERS):
        raise BadInput(
            "--spark-master {address}: must be local[*], spark://host:7077 or "
            "k8s://https://host:port",
            address=without_secrets(master),
        )
    return master


def check(master: str) -> None:
    """See that Spark can be started.

    Raises:
        BadInput: a part of it is not installed, or the master is not there.
    """
    _check_installed()
    if master.startswith("spark://"):
        _check_answers(master)


def _check_installed() -> None:
    if find_spec("pyspark") is None:
        raise BadInput(
            "--engine spark: pyspark is not installed for {executable}; run make "
            "env-spark, or install trainer/requirements-spark.txt",
            executable=sys.executable,
        )
    _check_version(os.environ.get("SPARK_HOME"))
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home, "bin", "java")) if home else "java")
    if java is None:
        missing = tr("JAVA_HOME={home} has no bin/java") if home else tr("no java was found")
        raise BadInput(
            "--engine spark: {where}; install Java {oldest} or newer, such as "
            "Debian's openjdk-17-jre-headless",
            where=missing.format(home=home),
            oldest=OLDEST_JAVA,
        )
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found and int(found[1]) < OLDEST_JAVA:
        raise BadInput(
            "--engine spark: {java} is Java {version}; it needs {oldest} or newer, "
            "and JAVA_HOME names one",
            java=java,
            version=found[1],
            oldest=OLDEST_JAVA,
        )


def _check_version(home: str | None) -> None:
    """See that the Spark that this machine names is the one that pyspark speaks with."""
    if home and not any(Path(home, "jars").glob(f"spark-core_*-{version('pyspark')}*.jar")):
        raise BadInput(
            "--engine spark: SPARK_HOME={home} is not Spark {version}, which pyspark needs; "
            "unset it, or name one of this version",
            home=home,
            version=version("pyspark"),
        )


def _check_answers(master: str) -> None:
    addresses = master.removeprefix("spark://").split(",")
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise BadInput("--spark-master {master}: write it as spark://host:7077", master=master)
        host = host.removeprefix("[").removesuffix("]")
        with suppress(OSError), socket.create_connection((host, int(port)), ANSWERS_WITHIN):
            return
    raise BadInput(
        "--spark-master {master}: nothing answers there; start the master, or give another address",
        master=master,
    )
