"""The stack in a real cluster of one node, on this machine: built from source, and cached."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.compose.conftest import Images, built, engine, images, new_stack  # noqa: F401
from tests.compose.stack import IMAGE_TAG, docker, variables
from tests.compose.team import commands
from tests.e2e.conftest import free_port
from tests.kubernetes.cluster import API, CONTAINERD, NAMESPACE, Cluster, variant
from tests.support.commands import ROOT, completed

HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "kubernetes.md"
OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"
FOLDER = Path(os.environ.get("KUBERNETES_TESTS", "/var/lib/kubernetes-tests"))
VOLUMES = {"db": 999, "s3": 1000}


def script(name: str) -> None:
    done = completed([str(HERE / name), str(FOLDER)])
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def empty_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with one node and nothing in it."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("a cluster is made by root, on Debian")
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    script("build-cluster.sh")
    script("start-cluster.sh")
    try:
        # A copy: whoever follows the page chooses a namespace in it.
        kubeconfig = tmp_path_factory.mktemp("kubectl") / "kubeconfig"
        shutil.copy(FOLDER / "kubeconfig", kubeconfig)
        yield Cluster(kubeconfig)
    finally:
        script("stop-cluster.sh")


@pytest.fixture(scope="session")
def overlay(
    images: Images,  # noqa: F811
    built: None,  # noqa: ARG001, F811
    empty_cluster: Cluster,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The overlay `trial`, with images and disks that the node has."""
    settings: dict[str, str] = {}
    for file in images.env_files:
        settings |= variables(file)
    ours = {
        name: f"{settings['IMAGE_PREFIX']}/{name}:{IMAGE_TAG}"
        for name in ("mlflow", "trainer", API)
    }
    others = {"db": settings["MYSQL_IMAGE"], "s3": settings["S3_IMAGE"]}
    folder = tmp_path_factory.mktemp("overlay")
    give(folder, *ours.values(), *others.values())
    # For a rolling update.
    name = f"docker.io/{ours[API]}"
    subprocess.run([*CONTAINERD, "images", "tag", "--force", name, f"{name}-next"], check=True)
    volumes = []
    for service, user in VOLUMES.items():
        disk = FOLDER / "run" / "data" / f"disk-{service}"
        for each in (disk, disk / "mysql"):
            each.mkdir(parents=True)
            os.chown(each, user, user)
        volumes.append(volume(f"data-{service}-0", disk))
    (folder / "volumes.yaml").write_text(yaml.safe_dump_all(volumes))
    named = [
        {"name": old, "newName": new.rpartition(":")[0], "newTag": new.rpartition(":")[2]}
        for old, new in renamed(ours, others).items()
    ]
    return variant(folder, NAMESPACE, [OVERLAYS / "trial", folder / "volumes.yaml"], images=named)


def give(folder: Path, *named: str) -> None:
    """Images of this machine's engine, for the node; an empty folder is used meanwhile."""
    saved = folder / "images.tar"
    docker("save", "--output", str(saved), *named, timeout=900)
    subprocess.run([*CONTAINERD, "images", "import", str(saved)], check=True)
    saved.unlink()


def renamed(ours: dict[str, str], others: dict[str, str]) -> dict[str, str]:
    """The names of images that `trial` gives, and those of this machine in place of them."""
    trial = OVERLAYS / "trial" / "kustomization.yaml"
    named = {each["name"]: each["newName"] for each in yaml.safe_load(trial.read_text())["images"]}
    return {named[name]: image for name, image in (ours | others).items()}


def volume(claim: str, disk: Path) -> dict[str, object]:
    """A folder of the node as the disk of a claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"disk-of-{claim}"},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": NAMESPACE, "name": claim},
            "hostPath": {"path": str(disk)},
        },
    }


@pytest.fixture(scope="session")
def first_answer(empty_cluster: Cluster, overlay: Path) -> str:
    """What the page's first commands say in the end; the images are on the node already."""
    port = free_port()
    lines = "\n".join(line for line in commands("Try it", PAGE) if "docker compose" not in line)
    for written, here in {
        "deploy/kubernetes/overlays/trial": str(overlay),
        "8080:8080": f"{port}:8080",
        "localhost:8080": f"localhost:{port}",
    }.items():
        assert written in lines
        lines = lines.replace(written, here)
    with empty_cluster.explained():
        said = empty_cluster.run([lines])
    (answer,) = (line for line in said.splitlines() if line.startswith("{"))
    return answer


@pytest.fixture(scope="session")
def cluster(empty_cluster: Cluster, first_answer: str) -> Cluster:  # noqa: ARG001
    """The stack after its first start."""
    empty_cluster.wait_rolled_out("deployment/mlflow")
    empty_cluster.wait_ready_pods(2)
    return empty_cluster
