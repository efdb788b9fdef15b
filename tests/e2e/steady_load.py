"""A steady load on hotserve that looks at every answer: of one version, and the one it names."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from tests.support.threads import working

PATIENCE = 240.0
"""Seconds for one request: it may be held while a process is started again."""

ONE = b"boneca de pano"
MANY = b"\n".join([ONE, b"halo", b"dom casmurro"] * 50)
FOR_THE_PROCESS = ONE + b" " * 20_001
"""Longer than what the fast lane takes."""


@dataclass
class Load:
    """What came of the requests so far.

    Attributes:
        answered: how often each (version, lane) answered.
        failures: what went wrong, a line each.
    """

    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(self.answered.values()) + len(self.failures)

    def versions(self) -> set[str]:
        """Those that answered."""
        return {version for version, _ in list(self.answered)}

    def count(self, version: str, lane: str) -> int:
        """How many answers of a version came from a lane (`fast` or `process`)."""
        return self.answered[version, lane]


@contextmanager
def steady_load(
    url: str, bodies: Sequence[bytes] = (ONE, MANY, FOR_THE_PROCESS), pause: float = 0.03
) -> Iterator[Load]:
    """Post each of `bodies` (text/csv) again and again on a connection of its own.

    The categories of a model under this load end in the number of its version.
    """
    load = Load()
    over = threading.Event()
    with working(over, [partial(_ask, url, each, pause, load, over) for each in bodies]):
        yield load


def _ask(url: str, body: bytes, pause: float, load: Load, over: threading.Event) -> None:
    products = len(body.splitlines())
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    while not over.wait(pause):
        begun = time.monotonic()
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": "text/csv"})
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            load.failures.append(f"after {time.monotonic() - begun:.1f} s: {error!r}")
            connection.close()
            continue
        version = answer.getheader("X-Model-Version", "")
        if problem := _problem(answer.status, told, version, products):
            load.failures.append(f"{problem}: {told[:300].decode('utf-8', 'replace')}")
        else:
            load.answered[version, answer.getheader("X-Hotserve-Lane", "")] += 1
    connection.close()


def _problem(status: int, told: bytes, version: str, products: int) -> str | None:
    if status != 200:
        return f"status {status}"
    labels = json.loads(told)["predictions"]
    if len(labels) != products:
        return f"{len(labels)} answers for {products} products"
    if {label.rpartition(" ")[2] for label in labels} != {version}:
        return f"not version {version} alone"
    return None
