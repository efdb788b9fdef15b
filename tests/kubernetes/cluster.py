"""The cluster of the tests, as `kubectl` sees it, and clients of the API in it."""

import json
import os
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.compose.stack import wait_until
from tests.support.commands import completed

API = "classificador-produtos"
NAMESPACE = "classificador-de-produtos"
CONTAINERD = ("ctr", "--address", "/run/kubernetes-tests/containerd.sock", "--namespace", "k8s.io")


@dataclass
class Cluster:
    """A cluster, and the namespace of a stack in it."""

    kubeconfig: Path
    namespace: str = NAMESPACE

    def _line(self, *arguments: str) -> list[str]:
        options = ("--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace)
        return ["kubectl", *options, *arguments]

    def try_kubectl(
        self, *arguments: str, given: str | None = None, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """`kubectl …`, whatever comes of it."""
        return completed(self._line(*arguments), input=given, timeout=timeout)

    def kubectl(self, *arguments: str, given: str | None = None, timeout: float = 900) -> str:
        """`kubectl …`, which has to succeed; its standard output."""
        done = self.try_kubectl(*arguments, given=given, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{done.stderr}{done.stdout}"
        return done.stdout

    def run(self, lines: Sequence[str]) -> str:
        """Lines of a shell, each of which has to succeed; what they say."""
        done = completed(
            ["bash", "-euc", "\n".join(("trap 'kill $(jobs -p) || true' EXIT", *lines))],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig)},
            timeout=1800,
        )
        assert done.returncode == 0, f"{lines}\n{done.stderr}{done.stdout}"
        return done.stdout

    def get(self, *what: str) -> Any:
        """An object, or a list of them, as the API server has it."""
        return json.loads(self.kubectl("get", *what, "--output", "json"))

    def address(self, service: str) -> str:
        """Host and port of a service, which this machine has a route to."""
        spec = self.get("service", service)["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    @contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[str]:
        """An address on this machine that leads to a service, until the end of the block."""
        line = self._line("port-forward", f"service/{service}", f":{port}")
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
                assert found
                yield found[0]
            finally:
                process.terminate()

    def wait_rolled_out(self, what: str) -> None:
        """Return when all pods of the deployment or stateful set are there and ready."""
        with self.explained():
            self.kubectl("rollout", "status", what, "--timeout=850s")

    def wait_complete(self, job: str) -> None:
        """Return when a job has ended well."""
        with self.explained():
            self.kubectl("wait", f"job/{job}", "--for=condition=Complete", "--timeout=850s")

    def pods(self, app: str = API) -> list[dict[str, Any]]:
        """The pods of the API, or of another part."""
        found: list[dict[str, Any]] = self.get("pods", "--selector", f"app={app}")["items"]
        return found

    def ready_pods(self) -> list[dict[str, Any]]:
        """The API's pods that are ready, and not on their way out."""
        return [pod for pod in self.pods() if _is_ready(pod)]

    def wait_ready_pods(self, count: int) -> None:
        """Return when so many of the API's pods are there, and all are ready."""

        def are_there() -> bool:
            pods = self.pods()
            return len(pods) == count and all(map(_is_ready, pods))

        with self.explained():
            wait_until(are_there, f"{count} ready pods", seconds=900, pause=1)

    def wait_versions(self, *versions: str) -> None:
        """Return when the ready pods of the API serve these versions."""
        what = f"versions {versions} in the replicas"
        wait_until(lambda: self.versions() == {*versions}, what, pause=1)

    def versions(self) -> set[str]:
        """What each ready pod of the API says that it serves."""
        addresses = [pod["status"]["podIP"] for pod in self.ready_pods()]
        answers = [requests.get(f"http://{one}:8080/model", timeout=60) for one in addresses]
        return {str(answer.json()["version"]) for answer in answers}

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Says what the cluster was doing when something was waited for in vain."""
        try:
            yield
        except AssertionError as error:
            pods = self.try_kubectl("get", "pods", "--output", "wide").stdout
            events = self.try_kubectl("get", "events", "--sort-by=.lastTimestamp").stdout
            raise AssertionError(f"{error}\n{pods}\n{events[-6000:]}") from None


def _is_ready(pod: dict[str, Any]) -> bool:
    """Whether it is, and not on its way out."""
    return "deletionTimestamp" not in pod["metadata"] and any(
        each["type"] == "Ready" and each["status"] == "True"
        for each in pod["status"].get("conditions", ())
    )


def restarts(cluster: Cluster, app: str = API) -> set[int]:
    """How often containers of it were started again."""
    return {
        status["restartCount"]
        for pod in cluster.pods(app)
        for status in pod["status"]["containerStatuses"]
    }


def variant(folder: Path, namespace: str, resources: Sequence[Path], **more: object) -> Path:
    """A kustomization in an empty folder: these folders and files, changed.

    Args:
        folder: where it is written.
        namespace: where everything goes.
        resources: what it stands on.
        more: its other fields.
    """
    kustomization = {
        "namespace": namespace,
        "resources": [os.path.relpath(each, folder) for each in resources],
        **more,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


@dataclass
class Load:
    """What clients of the API got.

    Attributes:
        answered: how many right answers each version gave.
        failed: what became of the other requests, a line each.
    """

    answered: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.answered.total()

    def goes_on(self, requests_more: int = 100) -> None:
        """Return when so many more were answered."""
        enough = self.count + requests_more
        wait_until(lambda: self.count >= enough, "answers", pause=0.05)


@contextmanager
def load(address: str, products: int = 1) -> Iterator[Load]:
    """Four clients post products again and again: two on a connection that they keep."""
    result, over = Load(), threading.Event()
    body, right = b"boneca de pano\n" * products, {"predictions": ["brinquedo"] * products}

    def ask(keep: bool) -> None:
        session = requests.Session()
        session.trust_env = False
        session.headers["Content-Type"] = "text/csv"
        if not keep:
            session.headers["Connection"] = "close"
        while not over.wait(0.03):
            try:
                answer = session.post(f"http://{address}/invocations", body, timeout=60)
            except requests.RequestException as error:
                result.failed.append(repr(error))
                continue
            if answer.status_code == 200 and answer.json() == right:
                result.answered[answer.headers["X-Model-Version"]] += 1
            else:
                result.failed.append(f"{answer.status_code} {answer.text[:500]}")

    threads = [threading.Thread(target=ask, args=(keep,)) for keep in (True, True, False, False)]
    for thread in threads:
        thread.start()
    try:
        result.goes_on(20)
        yield result
    finally:
        over.set()
        for thread in threads:
            thread.join()
        # `pytest -rP` shows it.
        print(f"{result.count} answered, {len(result.failed)} failed")
