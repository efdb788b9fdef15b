"""The autoscaler, with figures; last, as from here on it decides how many replicas there are."""

from pathlib import Path

import pytest

from tests.compose.stack import wait_until
from tests.kubernetes.cluster import API, Cluster, load
from tests.kubernetes.conftest import script
from tests.kubernetes.test_2_replicas import LITTLE, changed, replaced

pytestmark = pytest.mark.slow


@pytest.mark.timeout(2400)
def test_more_work_has_more_replicas_and_less_has_fewer_and_no_request_fails(
    cluster: Cluster, overlay: Path, tmp_path: Path
) -> None:
    script("start-metrics.sh")
    # Beyond a tenth of a processor, on average, more are wanted: the node has two for all.
    path = "/spec/metrics/0/resource/target/averageValue"
    soon = replaced("HorizontalPodAutoscaler", API, path, "100m")
    cluster.kubectl("apply", "--kustomize", str(changed(tmp_path, overlay, [LITTLE, soon])))
    cluster.wait_rolled_out(f"deployment/{API}")
    cluster.wait_ready_pods(2)
    address = cluster.address(API)
    with load(address) as result:
        with load(address, products=5000) as tables:
            wait_until(lambda: len(cluster.ready_pods()) > 2, "a third replica", 900, pause=1)
            result.goes_on()
        cluster.wait_ready_pods(2)
        result.goes_on()
    assert result.failed == tables.failed == []
