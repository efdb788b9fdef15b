"""A batch job here, on Spark, whose executors are pods of the cluster."""

import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from tests.compose.conftest import base_images
from tests.compose.stack import Stack, wait_until
from tests.compose.team import commands
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import give
from tests.kubernetes.test_1_trial import KEYS
from tests.support.commands import ROOT, completed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("pyspark"), reason="no pyspark (make env-spark)"),
    pytest.mark.skipif(not shutil.which("java"), reason="Java 17 or newer is not installed"),
]

PAGE = ROOT / "docs" / "scale.md"
ROWS = 60_000
"""More than one part, each with answers that an executor is asked for."""


@pytest.fixture(scope="module")
def image(
    cluster: Cluster,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The image of compose.spark.yml, which the node has."""
    folder = tmp_path_factory.mktemp("spark")
    one = new_stack(ROOT / "compose.spark.yml")
    one.env_files = base_images(folder / "offline.env", "spark").env_files
    one.compose("build", "--quiet", "trainer", timeout=1800)
    name = f"{one.setting('IMAGE_PREFIX')}/spark:{one.setting('IMAGE_TAG')}"
    give(folder, name)
    return name


def address_towards(host: str) -> str:
    """This machine's, as the other one sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((host, 9))
        return str(asking.getsockname()[0])


def test_a_table_is_that_of_one_machine_and_no_pod_is_left(
    cluster: Cluster, image: str, tmp_path: Path
) -> None:
    """By the page's commands; but for the addresses and the image."""
    server = cluster.kubectl("config", "view", "--output", "jsonpath={.clusters[0].cluster.server}")
    lines = [line for line in commands("On Kubernetes", PAGE) if "docker compose" not in line]
    *prepare, job = lines
    for written, here in {
        "registry.example.org/classificador-de-produtos/spark:1": image,
        "192.0.2.7": address_towards(urlsplit(server).hostname or ""),
        "https://192.0.2.1:6443": server,
        "s3://bucket/produtos": "s3://mlflow/muitos.csv",
        "python trainer": f"{sys.executable} {ROOT / 'trainer'}",
    }.items():
        assert written in "\n".join([*prepare, job])
        prepare = [line.replace(written, here) for line in prepare]
        job = job.replace(written, here)
    cluster.run([f"cd {tmp_path}", *prepare])
    executors = replace(cluster, namespace="spark")
    # The node has two cores for the whole stack.
    with (tmp_path / "conf" / "spark-defaults.conf").open("a") as settings:
        settings.write("spark.kubernetes.executor.request.cores 100m\n")

    s3 = {"endpoint_url": f"http://{cluster.address('s3')}", "region_name": "us-east-1"}
    rows = (f"{n};boneca;de pano, número {n}, com vestido de festa e chapéu" for n in range(ROWS))
    table = "\n".join(["id;nome;descricao", *rows]).encode()
    boto3.client("s3", **s3, **KEYS).put_object(Bucket="mlflow", Key="muitos.csv", Body=table)

    def outcome(line: str, mlflow: str) -> bytes:
        done = completed(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=os.environ
            | {name.upper(): value for name, value in KEYS.items()}
            | {"MLFLOW_TRACKING_URI": f"http://{mlflow}", "NO_PROXY": "*"}
            | {"MLFLOW_S3_ENDPOINT_URL": s3["endpoint_url"], "AWS_REGION": s3["region_name"]},
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return (tmp_path / "respostas.csv").read_bytes()

    with cluster.forwarded("mlflow", 5000) as mlflow:
        with executors.explained():
            of_the_cluster = outcome(job, mlflow)
        assert outcome(job.replace("--engine spark", "--engine local"), mlflow) == of_the_cluster
    assert of_the_cluster.count(b"\n") == ROWS + 1
    started = executors.get("events", "--field-selector", "reason=Started")["items"]
    assert len({event["involvedObject"]["name"] for event in started}) == 2
    left = ("get", "pods,configmaps,services", "--output", "name")
    whole = ["configmap/kube-root-ca.crt"]
    wait_until(lambda: executors.kubectl(*left).split() == whole, "nothing of the job", pause=1)
