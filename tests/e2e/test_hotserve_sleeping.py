"""With `--process asleep` the model's process ends while nobody needs it; no request is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, text_model
from tests.e2e.hotserve_process import Hotserve, eventually, running_hotserve
from tests.e2e.stream import Stream

NAME = "hotserve-asleep"
FOR_THE_PROCESS = {"inputs": ["boneca de pano" + " " * 20_001]}
"""Longer than the fast lane takes."""


def falls_asleep(hotserve: Hotserve) -> None:
    hotserve.wait_for(
        "it does not sleep", lambda model: (model["process"] or {}).get("state") == "asleep"
    )
    eventually(lambda: not hotserve.server_processes(), "its process does not end")


def test_it_sleeps_while_the_lane_answers_and_wakes_for_whoever_needs_it(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    registry = Registry(mlflow_server.url)
    registry.register(NAME, text_model(), stage="Production")
    second = registry.register(NAME, text_model(" 2"))
    options = ("--workers", "2", "--process", "asleep", "--process-idle", "1")
    with running_hotserve(
        f"models:/{NAME}/Production", tmp_path, mlflow_server.environment(), options=options
    ) as hotserve:
        hotserve.wait_for(
            "the lane does not open", lambda model: (model["lane"] or {}).get("state") == "open"
        )
        with Stream(hotserve.url) as stream:
            falls_asleep(hotserve)
            assert hotserve.get("/ping").status_code == 200
            asked = threading.Barrier(6)

            def ask(_: int) -> tuple[int, str, str]:
                asked.wait()
                answer = hotserve.invoke(FOR_THE_PROCESS)
                told = answer.headers["X-Hotserve-Lane"]
                return answer.status_code, told, answer.json()["predictions"][0]

            with ThreadPoolExecutor(6) as pool:
                assert {*pool.map(ask, range(6))} == {(200, "process", "brinquedo")}
            assert hotserve.model()["process"]["wakes"] == 1
            falls_asleep(hotserve)
            registry.move(NAME, second, "Production")
            hotserve.wait_for_version(second)
        assert stream.failures == []
        assert {told for _, told in stream.answers} == {"brinquedo", "brinquedo 2"}
        falls_asleep(hotserve)
        answer = hotserve.invoke(FOR_THE_PROCESS)
        assert (answer.status_code, answer.headers["X-Model-Version"]) == (200, second)
        assert hotserve.model()["restarts"] == 0
        hotserve.process.terminate()
        assert hotserve.process.wait(60) == 0
    eventually(hotserve.nothing_is_left, "a process is left")
    # The lane was found right before: without a request for it there is no process.
    with running_hotserve(
        f"models:/{NAME}/Production", tmp_path, mlflow_server.environment(), options=options
    ) as again:
        falls_asleep(again)
        answer = again.invoke({"inputs": ["boneca de pano"]})
        assert (answer.status_code, answer.headers["X-Hotserve-Lane"]) == (200, "fast")
        assert again.model()["process"]["wakes"] == 0
        assert again.invoke(FOR_THE_PROCESS).json() == {"predictions": ["brinquedo 2"]}
        assert again.model()["process"]["wakes"] == 1
