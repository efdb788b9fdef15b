"""hotserve while the MLflow server is away, and its restart from the cache."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import free_port, running_mlflow_server
from tests.e2e.hotserve_models import Registry, constant_model
from tests.e2e.hotserve_process import PATIENCE, eventually, running_hotserve
from tests.e2e.stream import Stream

NAME = "hotserve-without-mlflow"


@contextmanager
def nobody_at_home(port: int) -> Iterator[list[bytes]]:
    """Takes connections on `port` and answers nothing; the list grows by one for each."""
    callers: list[bytes] = []
    with socket.create_server(("127.0.0.1", port)) as listener:

        def accept() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    callers.append(caller.recv(1000))

        threading.Thread(target=accept, daemon=True).start()
        yield callers
        # A close alone does not wake the thread.
        listener.shutdown(socket.SHUT_RDWR)


def test_service_outlives_mlflow_and_a_restart_uses_the_cache(tmp_path: Path) -> None:
    uri = f"models:/{NAME}/latest"
    port = free_port()
    with running_mlflow_server(tmp_path / "mlflow", port) as mlflow_server:
        environment = mlflow_server.environment()
        registry = Registry(mlflow_server.url)
        registry.register(NAME, constant_model("primeira"))
        run_id = str(registry.client.get_model_version(NAME, "1").run_id)
        for name, value in (("acuracia", 0.25), ("acuracia", 0.5), ("perda", float("nan"))):
            registry.client.log_metric(run_id, name, value)
        options = ["--poll-interval", "0.2"]
        with running_hotserve(uri, tmp_path, environment, options=options) as hotserve:
            hotserve.wait_for_version("1")
            hotserve.wait_for("it has no figures", lambda m: m["metrics"] == {"acuracia": 0.5})
            with Stream(hotserve.url, connections=1) as stream:
                mlflow_server.process.terminate()
                hotserve.wait_for(
                    "it does not notice that MLflow is away",
                    lambda model: not model["registry"]["reachable"],
                )
                mlflow_server.process.wait(PATIENCE)
                with nobody_at_home(port) as callers:
                    eventually(lambda: len(callers) >= 4, "it asks no more")
                assert hotserve.model()["state"] == "serving"
                [server] = hotserve.server_processes()
                server.kill()
                hotserve.wait_for("it is not seen", lambda model: model["state"] == "restarting")
                hotserve.wait_until_serving()
            assert stream.failures == []
            assert set(stream.answers) == {("1", "primeira")}
            assert hotserve.get("/ping").status_code == 200

    # What was served is this workspace's own; another team's was never served.
    other_team = environment | {"MLFLOW_WORKSPACE": "team-b"}
    with running_hotserve(uri, tmp_path, other_team) as hotserve:
        hotserve.wait_for(
            "it does not wait",
            lambda model: "no version was served before" in str(model["message"]),
        )
        assert hotserve.predict("boneca").status_code == 503

    with running_hotserve(uri, tmp_path, environment) as hotserve:
        hotserve.wait_for_version("1")
        assert hotserve.predict("boneca").json() == {"predictions": ["primeira"]}
        assert "served from the cache" in hotserve.model()["note"]
        hotserve.wait_for("its figures are lost", lambda m: m["metrics"] == {"acuracia": 0.5})

        # The server is back, with another version: it is followed again.
        with running_mlflow_server(tmp_path / "mlflow", port) as mlflow_server:
            Registry(mlflow_server.url).register(NAME, constant_model("segunda"))
            hotserve.wait_for_version("2")
            assert hotserve.predict("boneca").json() == {"predictions": ["segunda"]}
            assert hotserve.model()["note"] is None
            # That version's run has none, and those of another one are not its own.
            assert hotserve.model()["metrics"] is None


def test_without_mlflow_and_cache_it_says_so(tmp_path: Path) -> None:
    environment = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}
    uri = f"models:/{NAME}/Production"
    with running_hotserve(uri, tmp_path, environment) as hotserve:
        hotserve.wait_for(
            "it does not say that MLflow is away",
            lambda model: "can't be reached" in str(model["message"]),
        )
        answer = hotserve.predict("boneca")
        assert answer.status_code == 503
        assert "can't be reached" in answer.json()["message"]
