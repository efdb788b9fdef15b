"""`overlays/production`: a database and S3 elsewhere, secrets made elsewhere, a token asked for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import yaml

from tests.compose.team import commands
from tests.kubernetes.cluster import API, NAMESPACE, Cluster, variant
from tests.kubernetes.conftest import OVERLAYS, PAGE
from tests.kubernetes.test_1_trial import KEYS

pytestmark = pytest.mark.slow

PLACE = "producao"
TOKEN = "um-token-que-ninguem-adivinha"
SECRETS = {
    "MYSQL_PASSWORD": KEYS["aws_secret_access_key"],
    "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
    "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
    "HOTSERVE_TOKEN": TOKEN,
}
ELSEWHERE = (f"MYSQL_HOST=db.{NAMESPACE}", f"S3_ENDPOINT_URL=http://s3.{NAMESPACE}:9000")

# What the Prometheus operator brings with it.
SERVICE_MONITORS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: ServiceMonitor, plural: servicemonitors, singular: servicemonitor}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


@pytest.fixture(scope="module")
def changed(overlay: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The overlay with its addresses and images changed, as it asks for."""
    images = yaml.safe_load((overlay / "kustomization.yaml").read_text())["images"]
    settings = {
        "name": "settings",
        "behavior": "merge",
        "namespace": NAMESPACE,
        "literals": list(ELSEWHERE),
    }
    return variant(
        *(tmp_path_factory.mktemp("production"), PLACE, [OVERLAYS / "production"]),
        images=[each | {"name": f"registry.example.org/{each['name']}"} for each in images],
        configMapGenerator=[settings],
    )


@pytest.fixture(scope="module")
def production(cluster: Cluster, changed: Path) -> Iterator[Cluster]:
    """A stack in a namespace of its own, whose database and S3 are the other one's."""
    # Both at once are more than this node has processors for.
    for name in (API, "mlflow"):
        cluster.kubectl("scale", f"deployment/{name}", "--replicas=0")
    one = replace(cluster, namespace=PLACE)
    one.kubectl("apply", "--filename", "-", given=SERVICE_MONITORS)
    one.kubectl("wait", "--for=condition=Established", "crd/servicemonitors.monitoring.coreos.com")
    lines = "\n".join(commands("Production", PAGE)).replace(NAMESPACE, PLACE)
    lines = lines.replace("deploy/kubernetes/overlays/production", str(changed))
    for name, value in SECRETS.items():
        assert f"{name}=…" in lines
        lines = lines.replace(f"{name}=…", f"{name}={value}")
    one.run([lines])
    one.wait_rolled_out("deployment/mlflow")
    one.wait_complete("trainer")
    one.wait_rolled_out(f"deployment/{API}")
    one.wait_ready_pods(2)
    yield one
    one.kubectl("delete", "namespace", PLACE)
    for name, count in (("mlflow", 1), (API, 2)):
        cluster.kubectl("scale", f"deployment/{name}", f"--replicas={count}")
        cluster.wait_rolled_out(f"deployment/{name}")


def test_it_answers_who_has_the_token(production: Cluster) -> None:
    url = f"http://{production.address(API)}"
    answered = {}
    for token in ("", "falso", TOKEN):
        headers = {"Content-Type": "text/csv"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        post = requests.post(f"{url}/invocations", b"boneca", headers=headers, timeout=60)
        metrics = requests.get(f"{url}/metrics", headers=headers, timeout=60)
        answered[token] = (post.status_code, metrics.status_code)
    assert answered == {"": (401, 401), "falso": (401, 401), TOKEN: (200, 200)}


def test_what_it_needs_is_named_and_nothing_of_it_is_made(production: Cluster) -> None:
    secrets = [each["metadata"]["name"] for each in production.get("secrets")["items"]]
    assert secrets == ["stack"]
    assert production.get("statefulsets")["items"] == []
    (ingress,) = production.get("ingresses")["items"]
    assert ingress["spec"]["tls"][0]["secretName"] == "classificador-produtos-tls"
    (monitor,) = production.get("servicemonitors")["items"]
    assert monitor["spec"]["endpoints"][0]["authorization"]["credentials"]["name"] == "stack"
    shown = production.kubectl("get", "configmaps,deployments,cronjobs,jobs", "--output", "yaml")
    assert not any(value in shown for value in SECRETS.values())


def test_applied_again_nothing_changes(production: Cluster, changed: Path) -> None:
    done = production.try_kubectl("diff", "--kustomize", str(changed))
    assert (done.returncode, done.stdout) == (0, "")
