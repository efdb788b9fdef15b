"""A steady stream of requests, to see that a change loses none of them."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.hotserve_process import CSV, PATIENCE, eventually
from tests.support.threads import working


@dataclass
class Stream:
    """Posts one text again and again over kept-open connections, until the block is left.

    Attributes:
        url: what is asked, without its `/invocations`.
        answers: per request, in order of arrival: version, category.
        failures: what went wrong, a line each.
        spans: per answer: when it was asked for and when it had come (monotonic), version.
    """

    url: str
    text: str = "boneca de pano"
    connections: int = 2
    answers: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    spans: list[tuple[float, float, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Stream":
        self._threads = working(self._stop, [self._post_on_and_on] * self.connections)
        self._threads.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._threads.__exit__(*error)

    def wait_for(self, version: str, more: int = 20) -> None:
        """Return once it has answered, and so many answers have come after that."""
        eventually(lambda: self.answers and self.answers[-1][0] == version, f"no {version}")
        enough = len(self.answers) + more
        eventually(lambda: len(self.answers) > enough, f"no more answers of version {version}")

    def late(self, version: str) -> list[str]:
        """Other versions that answered a request which was sent after `version` had answered."""
        first = min(ended for _, ended, told in self.spans if told == version)
        return [told for begun, _, told in self.spans if begun > first and told != version]

    def _post_on_and_on(self) -> None:
        server = urlsplit(self.url)
        connection = http.client.HTTPConnection(server.netloc, timeout=PATIENCE)
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                connection.request("POST", f"{server.path}/invocations", self.text.encode(), CSV)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    self.failures.append(f"{answer.status} {body[:200]!r}")
                    continue
                category = json.loads(body)["predictions"][0]
                version = answer.getheader("X-Model-Version", "")
                self.spans.append((begun, time.monotonic(), version))
                self.answers.append((version, category))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()
