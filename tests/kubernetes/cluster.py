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
        return subprocess.run(
            self._line(*arguments),
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def kubectl(self, *arguments: str, given: str | None = None, timeout: float = 900) -> str:
        """`kubectl …`, which has to succeed; its standard output."""
        done = self.try_kubectl(*arguments, given=given, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{done.stderr}{done.stdout}"
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
        self.kubectl("rollout", "status", what, "--timeout=600s")

    def wait_complete(self, job: str) -> None:
        """Return when a job has ended well."""
        self.kubectl("wait", f"job/{job}", "--for=condition=Complete", "--timeout=600s")

    def ready_pods(self) -> list[dict[str, Any]]:
        """The API's pods that are ready, and not on their way out."""
        pods = self.get("pods", "--selector", f"app={API}")["items"]
        return [
            pod
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                each["type"] == "Ready" and each["status"] == "True"
                for each in pod["status"].get("conditions", ())
            )
        ]

    def wait_ready_pods(self, count: int, seconds: float = 300) -> None:
        """Return when so many of the API's pods are there, and all are ready."""
        wait_until(
            lambda: len(self.ready_pods()) == count == len(self._pods()),
            f"{count} ready pods",
            seconds,
        )

    def versions(self) -> set[str]:
        """What each ready pod of the API says that it serves."""
        addresses = [pod["status"]["podIP"] for pod in self.ready_pods()]
        answers = [requests.get(f"http://{one}:8080/model", timeout=60) for one in addresses]
        return {str(answer.json()["version"]) for answer in answers}

    def _pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("pods", "--selector", f"app={API}")["items"]
        return found


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
def load(address: str) -> Iterator[Load]:
    """Four clients post a product again and again: two on a connection that they keep."""
    result, over = Load(), threading.Event()

    def ask(keep: bool) -> None:
        session = requests.Session()
        session.trust_env = False
        session.headers["Content-Type"] = "text/csv"
        if not keep:
            session.headers["Connection"] = "close"
        while not over.wait(0.03):
            try:
                answer = session.post(
                    f"http://{address}/invocations", b"boneca de pano", timeout=60
                )
            except requests.RequestException as error:
                result.failed.append(repr(error))
                continue
            if answer.status_code == 200 and answer.json() == {"predictions": ["brinquedo"]}:
                result.answered[answer.headers["X-Model-Version"]] += 1
            else:
                result.failed.append(f"{answer.status_code} {answer.text}")

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
