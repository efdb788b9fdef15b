"""hotserve under a steady load while versions, processes and the registry fail."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import DIES, HANGS, Registry, text_model
from tests.e2e.hotserve_process import Hotserve, eventually, running_hotserve
from tests.e2e.steady_load import Load, steady_load
from tests.e2e.stream import Stream
from tests.support.threads import working

NAME = "hotserve-switching"
URI = f"models:/{NAME}/Production"


@dataclass(frozen=True)
class Switched:
    """hotserve on Production of `NAME`; versions 1, 2 and 3 are good ones with a lane."""

    hotserve: Hotserve
    registry: Registry
    load: Load

    def move(self, version: str) -> None:
        self.registry.move(NAME, version, "Production")

    def promote(self, version: str) -> None:
        """Move `version` to Production and wait until it answers, with its lane open."""
        self.move(version)
        self.hotserve.wait_for_version(version)
        self.hotserve.wait_until_serving(lane="open")
        self.wait_for_answers(version)

    def wait_until_wanted(self, version: str, state: str) -> None:
        """Return once `version` is on its way (`starting`) or would not come (`failed`)."""

        def is_told(model: dict[str, Any]) -> bool:
            wanted = model["wanted"] or {}
            return (wanted.get("version"), wanted.get("state")) == (version, state)

        self.hotserve.wait_for(f"version {version} is not {state}", is_told)

    def wait_for_answers(self, version: str) -> None:
        """Wait until lane and process have answered once more."""
        fast, process = (self.load.count(version, lane) for lane in ("fast", "process"))
        eventually(lambda: self.load.count(version, "fast") > fast, "the lane does not answer")
        eventually(
            lambda: self.load.count(version, "process") > process, "the process does not answer"
        )


@pytest.fixture(scope="module")
def running(
    mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Hotserve, Registry]]:
    registry = Registry(mlflow_server.url)
    for number in "123":
        assert registry.register(NAME, text_model(f" {number}")) == number
    registry.move(NAME, "1", "Production")
    home = tmp_path_factory.mktemp("hotserve-switching")
    # On a busy machine two starts can take longer than requests are held by default.
    options = ["--workers", "2", "--poll-interval", "0.3"]
    options += ["--start-timeout", "60", "--hold-timeout", "120"]
    with running_hotserve(URI, home, mlflow_server.environment(), options=options) as hotserve:
        hotserve.wait_for_version("1")
        yield hotserve, registry


@pytest.fixture
def switched(running: tuple[Hotserve, Registry]) -> Iterator[Switched]:
    """Version 1 with its lane, and a load to the last line of a test: no request may fail."""
    hotserve, registry = running
    registry.move(NAME, "1", "Production")
    hotserve.wait_for_version("1")
    hotserve.wait_until_serving(lane="open")
    eventually(lambda: len(hotserve.guards()) == 1, "processes of the test before are left")
    with steady_load(hotserve.url) as load:
        yield Switched(hotserve, registry, load)
    assert load.failures == []


@contextmanager
def most_at_once(count: Callable[[], int]) -> Iterator[list[int]]:
    """The highest number that `count` gives meanwhile, as the last element of a list."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            most.append(max(most[-1], count()))

    with working(over, [look]):
        yield most


def test_of_ten_promotions_in_a_row_the_last_one_wins(switched: Switched) -> None:
    hotserve = switched.hotserve
    with most_at_once(lambda: len(hotserve.guarded_servers())) as servers:
        for version in "2323232323":
            switched.move(version)
            switched.wait_until_wanted(version, "starting")
            eventually(lambda: len(hotserve.guarded_servers()) == 2, "its process does not come")
        switched.promote("3")
    # One answers and one is on its way; what is given up goes before another comes.
    assert servers[-1] == 2
    assert switched.load.versions() == {"1", "3"}, "a version that was given up answered"
    assert [each["to"] for each in hotserve.model()["switches"]][-1] == "3"
    eventually(
        lambda: len(hotserve.server_processes()) == 1 == len(hotserve.guards()),
        "processes of other versions are left",
    )


def test_all_workers_change_over_at_once(switched: Switched) -> None:
    # So many connections that each worker has some of them.
    with Stream(switched.hotserve.url, connections=12) as stream:
        eventually(lambda: len(stream.answers) > 100, "no answers")
        switched.move("2")
        stream.wait_for("2", more=100)
    assert stream.failures == []
    assert {told for told, _ in stream.answers} == {"1", "2"}
    assert stream.late("2") == []


def test_what_is_no_longer_wanted_is_no_longer_on_its_way(switched: Switched) -> None:
    hotserve = switched.hotserve
    switched.move("2")
    hotserve.wait_for("it is not noticed", lambda model: model["wanted"] is not None)
    switched.registry.move(NAME, "2", "Archived")
    hotserve.wait_for("it does not say so", lambda model: "is in Production" in str(model["note"]))
    assert hotserve.model()["wanted"] is None
    assert hotserve.model()["version"] == "1"
    eventually(lambda: len(hotserve.guards()) == 1, "the other version's process is left")
    switched.promote("1")


@pytest.mark.parametrize(
    ("register", "reason"),
    [
        (lambda registry: registry.register_incomplete(NAME), "No such file"),
        (lambda registry: registry.register_broken(NAME), ""),
        (lambda registry: registry.register_faulty(NAME, DIES), "SIGKILL"),
        (lambda registry: registry.register_faulty(NAME, HANGS), "not healthy after 60 s"),
    ],
    ids=["a file is missing", "a file is damaged", "dies at start", "hangs at start"],
)
def test_a_version_that_does_not_start_changes_nothing(
    switched: Switched, register: Callable[[Registry], str], reason: str
) -> None:
    hotserve = switched.hotserve
    faulty = register(switched.registry)
    switched.move(faulty)
    switched.wait_until_wanted(faulty, "failed")
    model = hotserve.model()
    assert (model["version"], model["state"]) == ("1", "serving")
    assert model["last_error"]["version"] == faulty
    assert reason in model["last_error"]["message"] != ""
    assert "/" not in model["last_error"]["message"].replace("models:/", "")
    assert switched.load.versions() == {"1"}
    switched.promote("1")
    eventually(lambda: len(hotserve.guards()) == 1, "its processes are left")


def test_a_process_killed_again_while_it_restarts_fails_no_request(switched: Switched) -> None:
    hotserve = switched.hotserve
    restarts = hotserve.model()["restarts"]
    [server] = hotserve.server_processes()
    os.kill(server.pid, signal.SIGKILL)
    eventually(
        lambda: [p for p in hotserve.server_processes() if p.pid != server.pid],
        "it is not started again",
    )
    before = switched.load.count("1", "fast")
    for process in hotserve.server_processes():
        process.kill()
    hotserve.wait_for("it is not told", lambda model: model["restarts"] >= restarts + 2)
    eventually(lambda: switched.load.count("1", "fast") > before, "the lane does not answer")
    hotserve.wait_until_serving()
    switched.wait_for_answers("1")


def test_a_restart_with_a_broken_version_serves_the_last_good_one(
    running: tuple[Hotserve, Registry], mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    """And before that: the stage is emptied while only the lane of the last one answers."""
    registry = running[1]
    name = f"{NAME}-again"
    uri = f"models:/{name}/Production"
    registry.register(name, text_model(" 1"), stage="Production")
    environment = mlflow_server.environment()
    with running_hotserve(uri, tmp_path, environment, options=["--workers", "1"]) as hotserve:
        hotserve.wait_for_version("1")
        hotserve.wait_until_serving(lane="open")

    with running_hotserve(uri, tmp_path, environment, options=["--workers", "1"]) as hotserve:
        hotserve.wait_for("no answer", lambda model: model["version"] == "1")
        registry.move(name, "1", "Archived")
        hotserve.wait_for("it is not told", lambda model: "Production" in str(model["note"]))
        with steady_load(hotserve.url) as load:
            eventually(lambda: load.count("1", "process"), "its process does not come")
        assert load.failures == []

    broken = registry.register_broken(name)
    registry.move(name, broken, "Production")
    with running_hotserve(uri, tmp_path, environment, options=["--workers", "1"]) as hotserve:
        hotserve.wait_until_serving()
        model = hotserve.model()
        assert (model["version"], model["wanted"]["version"]) == ("1", broken)
        assert model["last_error"]["version"] == broken
        assert "the version served last is back" in model["last_error"]["message"]
        with steady_load(hotserve.url) as load:
            eventually(lambda: load.count("1", "process"), "its process does not answer")
        assert load.failures == []


def test_files_that_were_damaged_in_the_cache_are_fetched_again(
    running: tuple[Hotserve, Registry], mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    name = f"{NAME}-damaged"
    running[1].register(name, text_model(" 1"), stage="Production")
    uri, environment = f"models:/{name}/Production", mlflow_server.environment()
    with running_hotserve(uri, tmp_path, environment, options=["--workers", "1"]) as hotserve:
        hotserve.wait_for_version("1")
        hotserve.wait_until_serving(lane="open")
    for file in tmp_path.glob("cache/*/*/model/model.*"):
        file.write_bytes(b"")
    with running_hotserve(uri, tmp_path, environment, options=["--workers", "1"]) as hotserve:
        hotserve.wait_for("it is not told", lambda model: model["last_error"])
        hotserve.wait_until_serving()
        assert hotserve.predict("halo").json() == {"predictions": ["game 1"]}
        [file] = tmp_path.glob("cache/*/*/model/model.*")
        assert file.stat().st_size > 0


def test_deleting_the_version_and_then_the_model_changes_nothing(switched: Switched) -> None:
    """The last test here: it leaves another model behind."""
    hotserve, client = switched.hotserve, switched.registry.client
    client.delete_model_version(NAME, "1")
    hotserve.wait_for("it is not told", lambda model: "is in Production" in str(model["note"]))
    switched.wait_for_answers("1")
    client.delete_registered_model(NAME)
    hotserve.wait_for("it is not told", lambda model: "no registered model" in str(model["note"]))
    assert (hotserve.model()["version"], hotserve.model()["state"]) == ("1", "serving")

    [server] = hotserve.server_processes()
    server.kill()
    hotserve.wait_for("it is not noticed", lambda model: model["state"] == "restarting")
    hotserve.wait_until_serving()
    switched.wait_for_answers("1")

    # A model of that name again, and its version 1 is another one.
    since = hotserve.model()["since"]
    assert switched.registry.register(NAME, text_model(" 1"), stage="Production") == "1"
    hotserve.wait_for("it is not followed", lambda model: model["since"] != since)
    assert hotserve.model()["note"] is None
    switched.wait_for_answers("1")
