"""The stack in a cluster: what its users notice of promotions, updates, drains and crashes."""

import json
from pathlib import Path

import boto3
import pytest
import requests

from tests.compose.stack import wait_until
from tests.compose.team import commands
from tests.kubernetes.cluster import API, NAMESPACE, Cluster, load, restarts, variant
from tests.kubernetes.conftest import PAGE

KEYS = {
    "aws_access_key_id": "desenvolvimento",
    "aws_secret_access_key": "somente-para-desenvolvimento",
}


def test_after_the_first_commands_of_the_page_the_api_answers(
    cluster: Cluster, first_answer: str
) -> None:
    assert json.loads(first_answer) == {"predictions": ["brinquedo"]}
    assert cluster.versions() == {"1"}


def test_people_get_in_by_port_forward(cluster: Cluster) -> None:
    with cluster.forwarded(API, 8080) as api:
        answer = requests.get(f"http://{api}/model", timeout=60)
        assert str(answer.json()["version"]) == "1"
    with cluster.forwarded("mlflow", 5000) as mlflow:
        answer = requests.get(f"http://{mlflow}/", timeout=60)
        assert answer.headers["Content-Type"].startswith("text/html")


def test_applied_again_nothing_changes(cluster: Cluster, overlay: Path) -> None:
    done = cluster.try_kubectl("diff", "--kustomize", str(overlay))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_namespace_takes_nothing_that_could_hurt_its_node(cluster: Cluster) -> None:
    done = cluster.try_kubectl("run", "root", "--image", "x", "--restart", "Never")
    assert done.returncode
    assert 'violates PodSecurity "restricted' in done.stderr
    names = [each["metadata"]["name"] for each in cluster.get("networkpolicies")["items"]]
    assert names == [API, "db", "mlflow", "nobody-unless-named", "s3"]


def test_no_token_of_the_cluster_is_in_a_pod(cluster: Cluster) -> None:
    for name in ("deployment/mlflow", f"deployment/{API}", "statefulset/db", "statefulset/s3"):
        look = "ls -d /run/secrets/kubernetes.io 2>/dev/null || echo none"
        assert cluster.kubectl("exec", name, "--", "sh", "-c", look).split() == ["none"], name


def test_a_retraining_is_served_by_all_replicas_and_fails_no_request(cluster: Cluster) -> None:
    with load(cluster.address(API)) as result:
        cluster.run(commands("A promotion", PAGE))
        cluster.wait_complete("again")
        cluster.wait_versions("2")
        wait_until(lambda: result.answered["2"] > 50, "answers of version 2")
    assert result.failed == []


def test_an_update_of_the_image_fails_no_request(cluster: Cluster) -> None:
    image = cluster.get("deployment", API)["spec"]["template"]["spec"]["containers"][0]["image"]
    update, wait, undo = commands("An upgrade, and back", PAGE)
    written = update.rpartition("=")[2]
    with load(cluster.address(API)) as result:
        cluster.run([update.replace(written, f"{image}-next"), wait])
        cluster.wait_ready_pods(2)
        result.goes_on()
        cluster.run([undo, wait])
        cluster.wait_ready_pods(2)
        result.goes_on()
    assert result.failed == []


@pytest.mark.slow
def test_a_pod_that_is_deleted_fails_no_request(cluster: Cluster) -> None:
    with load(cluster.address(API)) as result:
        pod = cluster.ready_pods()[0]["metadata"]["name"]
        cluster.kubectl("delete", "pod", pod)
        cluster.wait_ready_pods(2)
        result.goes_on()
    assert result.failed == []


@pytest.mark.slow
def test_a_drain_leaves_one_that_answers(cluster: Cluster) -> None:
    with load(cluster.address(API)) as result:
        done = cluster.try_kubectl(
            *("drain", "node", "--pod-selector", f"app={API}", "--delete-emptydir-data"),
            "--timeout=40s",
        )
        # There is no other node: the last pod stays.
        assert "violate the pod's disruption budget" in done.stderr
        assert len(cluster.ready_pods()) == 1
        result.goes_on()
        cluster.kubectl("uncordon", "node")
        cluster.wait_ready_pods(2)
    assert result.failed == []


@pytest.mark.slow
def test_without_mlflow_the_api_goes_on(cluster: Cluster) -> None:
    with load(cluster.address(API)) as result:
        cluster.kubectl("scale", "deployment/mlflow", "--replicas=0")
        cluster.kubectl("wait", "pod", "--selector=app=mlflow", "--for=delete", "--timeout=120s")
        result.goes_on(200)
        cluster.kubectl("scale", "deployment/mlflow", "--replicas=1")
        cluster.wait_rolled_out("deployment/mlflow")
        result.goes_on()
        assert len(cluster.ready_pods()) == 2
    assert result.failed == []


@pytest.mark.slow
def test_more_and_fewer_replicas_fail_no_request(cluster: Cluster) -> None:
    with load(cluster.address(API)) as result:
        for count in (5, 2):
            cluster.kubectl("scale", f"deployment/{API}", f"--replicas={count}")
            cluster.wait_ready_pods(count)
            result.goes_on()
    assert result.failed == []
    assert restarts(cluster) == {0}


@pytest.mark.slow
def test_a_table_is_classified_when_asked_to(cluster: Cluster) -> None:
    s3 = boto3.client(
        "s3", endpoint_url=f"http://{cluster.address('s3')}", region_name="us-east-1", **KEYS
    )
    s3.put_object(Bucket="mlflow", Key="produtos.csv", Body=b"nome;descricao\nboneca;de pano\n")
    cluster.kubectl("create", "job", "--from", "cronjob/batch", "tonight")
    cluster.wait_complete("tonight")
    ask = "mysql --user=mlflow --batch --skip-column-names mlflow"
    query = f'MYSQL_PWD=$MYSQL_PASSWORD {ask} -e "SELECT categoria_prevista FROM predicoes"'
    assert cluster.kubectl("exec", "db-0", "--", "sh", "-c", query).split() == ["brinquedo"]


@pytest.mark.slow
def test_one_version_is_served_if_the_settings_name_it(
    cluster: Cluster, overlay: Path, tmp_path: Path
) -> None:
    """A rollout is the switch then, and going back is its undo."""
    uri = {"name": "api", "behavior": "merge", "literals": [f"MODEL_URI=models:/{API}/1"]}
    pinned = variant(tmp_path, NAMESPACE, [overlay], configMapGenerator=[uri])
    with load(cluster.address(API)) as result:
        cluster.kubectl("apply", "--kustomize", str(pinned))
        cluster.wait_rolled_out(f"deployment/{API}")
        cluster.wait_ready_pods(2)
        assert cluster.versions() == {"1"}
        cluster.kubectl("rollout", "undo", f"deployment/{API}")
        cluster.wait_rolled_out(f"deployment/{API}")
        cluster.wait_ready_pods(2)
        assert cluster.versions() == {"2"}
        result.goes_on()
    assert result.failed == []
