"""SIGTERM under a steady load on connections that are kept open: no request is lost."""

import http.client
import signal
import threading
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.hotserve_models import save, text_model
from tests.e2e.hotserve_process import CSV, PATIENCE, running_hotserve
from tests.support.threads import working

ONE = b"boneca de pano"
FOR_THE_PROCESS = ONE + b" " * 20_001
"""Longer than the fast lane takes."""


def test_no_request_on_an_open_connection_is_lost(tmp_path: Path) -> None:
    failures: list[str] = []
    answered = {"fast": 0, "process": 0}
    under_way = threading.Barrier(9)

    def ask_until_told(url: str, body: bytes, lane: str) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
        last = False
        try:
            for number in range(100_000):
                if number == 3:
                    under_way.wait(PATIENCE)
                connection.request("POST", "/invocations", body, CSV)
                answer = connection.getresponse()
                if answer.read() != b'{"predictions": ["brinquedo"]}' or answer.status != 200:
                    failures.append(f"status {answer.status}")
                assert answer.headers["X-Hotserve-Lane"] == lane
                answered[lane] += 1
                last = answer.headers["Connection"] == "close"
                if last:
                    break
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{lane}: {error!r}")
        if not last:
            failures.append(f"{lane}: nothing said that the connection ends")
        connection.close()

    folder = save(text_model(), tmp_path / "model")
    with running_hotserve(folder, tmp_path, options=("--workers", "2")) as hotserve:
        hotserve.wait_until_serving(lane="open")
        load = [(ONE, "fast")] * 4 + [(FOR_THE_PROCESS, "process")] * 4
        asking = [partial(ask_until_told, hotserve.url, *each) for each in load]
        with working(threading.Event(), asking):
            under_way.wait(PATIENCE)
            hotserve.process.send_signal(signal.SIGTERM)
        assert hotserve.process.wait(PATIENCE) == 0
    assert failures == []
    assert answered["fast"] > 12
    assert answered["process"] >= 16
