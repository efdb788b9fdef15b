"""How much of a processor each part takes: what the manifests ask for follows from it."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import fmean
from typing import Any

import pytest

from tests.compose.stack import wait_until
from tests.kubernetes.cluster import API, CONTAINERD, Cluster, load
from tests.support.commands import completed

pytestmark = pytest.mark.slow

PARTS = {
    API: f"deployment/{API}",
    "mlflow": "deployment/mlflow",
    "db": "statefulset/db",
    "s3": "statefulset/s3",
}
WHILE = 30
"""Seconds that rest and load are looked at for."""

Shares = dict[str, float]
"""By the part, thousandths of a processor; of the API's replicas the mean."""


def taken(container: str) -> float:
    """The seconds of a processor that a container has taken since it started."""
    line = [*CONTAINERD, "tasks", "metrics", "--format", "json", container]
    said = completed(line, check=True).stdout
    cpu = json.loads(said)["cpu"]
    # Of the two kinds of control groups, each says it in its own way.
    return float(cpu["usage"]["total"] / 1e9 if "usage" in cpu else cpu["usage_usec"] / 1e6)


def container(pod: dict[str, Any]) -> str:
    (status,) = pod["status"]["containerStatuses"]
    return str(status["containerID"]).removeprefix("containerd://")


def all_taken(cluster: Cluster) -> dict[str, dict[str, float]]:
    """By the part, what each of its containers has taken."""
    return {part: {one: taken(one) for one in map(container, cluster.pods(part))} for part in PARTS}


@contextmanager
def shares(cluster: Cluster) -> Iterator[Shares]:
    """What is taken until the end of the block, which has to leave the pods alone."""
    found: Shares = {}
    before, since = all_taken(cluster), time.monotonic()
    yield found
    after, seconds = all_taken(cluster), time.monotonic() - since
    for part, containers in after.items():
        each = [(now - before[part][one]) / seconds for one, now in containers.items()]
        found[part] = 1000 * fmean(each)


def job(cluster: Cluster, cronjob: str, name: str) -> float:
    """Have a job done; the seconds of a processor that it took, but for its last moment."""
    cluster.kubectl("create", "job", "--from", f"cronjob/{cronjob}", name)
    seconds = 0.0

    def has_ended() -> bool:
        nonlocal seconds
        for pod in cluster.get("pods", "--selector", f"job-name={name}")["items"]:
            with suppress(KeyError, subprocess.CalledProcessError):
                seconds = max(seconds, taken(container(pod)))
        return bool(cluster.get("job", name)["status"].get("succeeded"))

    wait_until(has_ended, f"{name} to end", seconds=900)
    return seconds


def start(cluster: Cluster, part: str) -> float:
    """Start a part anew; the seconds of a processor that a container took to be ready."""
    cluster.kubectl("rollout", "restart", PARTS[part])
    cluster.wait_rolled_out(PARTS[part])
    new = [pod for pod in cluster.pods(part) if "deletionTimestamp" not in pod["metadata"]]
    return fmean(taken(container(pod)) for pod in new)


def asked(cluster: Cluster) -> Shares:
    """What the manifests ask for."""
    found: Shares = {}
    for part, name in PARTS.items():
        (spec,) = cluster.get(name)["spec"]["template"]["spec"]["containers"]
        found[part] = float(spec["resources"]["requests"]["cpu"].removesuffix("m"))
    return found


def test_at_rest_no_part_takes_more_than_it_asks_for(cluster: Cluster) -> None:
    """`pytest -rP` shows this, and what load, a retraining and a start take."""
    with shares(cluster) as rest:
        time.sleep(WHILE)
    with load(cluster.address(API)) as result, shares(cluster) as busy:
        before = result.count
        time.sleep(WHILE)
        rate = (result.count - before) / WHILE
    served, began = cluster.versions(), time.monotonic()
    with shares(cluster) as promoting:
        trained = job(cluster, "retraining", "measured")
        wait_until(lambda: not served & cluster.versions(), "another version", pause=1)
    lasted = time.monotonic() - began
    print(f"rest | {rate:.0f} requests/s | retraining, {lasted:.0f} s | start | asked for")
    for part, wanted in asked(cluster).items():
        taken_then = " | ".join(f"{each[part]:.0f}m" for each in (rest, busy, promoting))
        print(f"{part} | {taken_then} | {start(cluster, part):.1f} s | {wanted:.0f}m")
    print(f"the retraining itself: {trained:.1f} s")
    assert result.failed == []
    assert all(rest[part] < wanted for part, wanted in asked(cluster).items())
