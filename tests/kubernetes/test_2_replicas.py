"""Replicas beside each other: one cache for all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.compose.stack import ROOT
from tests.kubernetes.cluster import API, NAMESPACE, Cluster, load, variant
from tests.kubernetes.conftest import FOLDER, volume

pytestmark = pytest.mark.slow


@contextmanager
def applied(cluster: Cluster, changed: Path, overlay: Path) -> Iterator[None]:
    """The stack, changed, and as it was in the end."""
    cluster.kubectl("apply", "--kustomize", str(changed))
    try:
        yield
    finally:
        cluster.kubectl("apply", "--kustomize", str(overlay))
        cluster.kubectl("scale", f"deployment/{API}", "--replicas=2")
        cluster.wait_rolled_out(f"deployment/{API}")
        cluster.wait_ready_pods(2)


def test_with_one_cache_for_all_a_new_replica_starts_while_mlflow_is_away(
    cluster: Cluster, overlay: Path, tmp_path: Path
) -> None:
    served = cluster.versions()
    disk = FOLDER / "run" / "data" / "disk-of-models"
    disk.mkdir()
    os.chown(disk, 10001, 10001)
    claimed = volume("model-cache", disk, "ReadWriteMany")
    (tmp_path / "volume.yaml").write_text(yaml.safe_dump(claimed))
    component = ROOT / "deploy" / "kubernetes" / "components" / "shared-cache"
    shared = variant(
        *(tmp_path, NAMESPACE, [overlay, tmp_path / "volume.yaml"]),
        components=[os.path.relpath(component, tmp_path)],
    )
    with load(cluster.address(API)) as result, applied(cluster, shared, overlay):
        cluster.wait_rolled_out(f"deployment/{API}")
        cluster.wait_ready_pods(2)
        cluster.kubectl("scale", "deployment/mlflow", "--replicas=0")
        cluster.kubectl("wait", "pod", "--selector=app=mlflow", "--for=delete", "--timeout=120s")
        try:
            for pod in cluster.ready_pods():
                cluster.kubectl("delete", "pod", pod["metadata"]["name"])
                cluster.wait_ready_pods(2)
            assert cluster.versions() == served
            result.goes_on()
        finally:
            cluster.kubectl("scale", "deployment/mlflow", "--replicas=1")
            cluster.wait_rolled_out("deployment/mlflow")
    assert result.failed == []
