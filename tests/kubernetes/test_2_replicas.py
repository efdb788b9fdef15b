"""Replicas beside each other: many that start at once, and one cache for those of a node."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kubernetes.cluster import API, NAMESPACE, Cluster, load, restarts, variant
from tests.kubernetes.conftest import FOLDER
from tests.support.commands import ROOT

pytestmark = pytest.mark.slow

COMPONENTS = ROOT / "deploy" / "kubernetes" / "components"


def replaced(kind: str, name: str, path: str, value: object) -> dict[str, object]:
    """A patch of a kustomization: another value at that path."""
    operation = {"op": "replace", "path": path, "value": value}
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps([operation])}


# There is but one node, and as many would ask for more of it than it has.
LITTLE = replaced(
    "Deployment", API, "/spec/template/spec/containers/0/resources/requests/cpu", "50m"
)
MANY = replaced("HorizontalPodAutoscaler", API, "/spec/maxReplicas", 12)


def changed(
    folder: Path, overlay: Path, patches: Sequence[dict[str, object]], *components: str
) -> Path:
    """The stack, changed."""
    named = [os.path.relpath(COMPONENTS / each, folder) for each in components]
    return variant(folder, NAMESPACE, [overlay], patches=[*patches], components=named)


@contextmanager
def applied(cluster: Cluster, stack: Path, overlay: Path) -> Iterator[None]:
    """The stack, changed, and as it was in the end."""
    cluster.kubectl("apply", "--kustomize", str(stack))
    cluster.wait_rolled_out(f"deployment/{API}")
    cluster.wait_ready_pods(2)
    try:
        yield
    finally:
        cluster.kubectl("scale", f"deployment/{API}", "--replicas=2")
        cluster.wait_ready_pods(2)
        cluster.kubectl("apply", "--kustomize", str(overlay))
        cluster.wait_rolled_out(f"deployment/{API}")
        cluster.wait_ready_pods(2)


def start_more(cluster: Cluster, count: int) -> None:
    """Beside the two that are there, all at once."""
    cluster.kubectl("scale", f"deployment/{API}", f"--replicas={2 + count}")
    cluster.wait_ready_pods(2 + count)
    assert restarts(cluster) == {0}


def test_ten_replicas_that_start_at_once_get_ready_and_mlflow_stays_so(
    cluster: Cluster, overlay: Path, tmp_path: Path
) -> None:
    """Each fetches the model, as each has a cache of its own."""

    def mlflow() -> object:
        """Changes when it is not ready for a moment."""
        (pod,) = cluster.pods("mlflow")
        return [pod["metadata"]["name"], pod["status"]["conditions"], restarts(cluster, "mlflow")]

    served, before = cluster.versions(), mlflow()
    stack = changed(tmp_path, overlay, [LITTLE, MANY])
    with load(cluster.address(API)) as result, applied(cluster, stack, overlay):
        start_more(cluster, 10)
        assert cluster.versions() == served
        result.goes_on()
        assert mlflow() == before
    assert result.failed == []


def test_with_one_cache_on_the_node_others_start_while_mlflow_is_away(
    cluster: Cluster, overlay: Path, tmp_path: Path
) -> None:
    """What the first replica of a node has fetched, no other fetches."""
    served = cluster.versions()
    disk = FOLDER / "run" / "data" / "disk-of-models"
    disk.mkdir()
    os.chown(disk, 10001, 10001)
    path = "/spec/hostPath/path"
    place = replaced("PersistentVolume", "model-cache-of-the-node", path, str(disk))
    stack = changed(tmp_path, overlay, [LITTLE, MANY, place], "node-cache")
    with load(cluster.address(API)) as result, applied(cluster, stack, overlay):
        cluster.kubectl("scale", "deployment/mlflow", "--replicas=0")
        cluster.kubectl("wait", "pod", "--selector=app=mlflow", "--for=delete", "--timeout=120s")
        try:
            start_more(cluster, 8)
            assert cluster.versions() == served
            result.goes_on()
        finally:
            cluster.kubectl("scale", "deployment/mlflow", "--replicas=1")
            cluster.wait_rolled_out("deployment/mlflow")
    assert result.failed == []
