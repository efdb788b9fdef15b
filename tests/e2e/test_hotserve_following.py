"""hotserve follows the registry: real MLflow server, real models, real processes."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, constant_model, save, text_model
from tests.e2e.hotserve_process import PATIENCE, Hotserve, eventually, running_hotserve
from tests.e2e.stream import Stream

NAME = "hotserve-following"

# MLflow has deprecated stages; they are what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")


@dataclass(frozen=True)
class Followed:
    """A hotserve on Production of `NAME`, and versions to move there.

    Attributes:
        answers: what each version says of `boneca de pano`.
    """

    hotserve: Hotserve
    registry: Registry
    answers: dict[str, str]

    def promote(self, version: str) -> None:
        """Move `version` to Production and wait until it answers, and it alone runs."""
        self.registry.move(NAME, version, "Production")
        self.hotserve.wait_for_version(version)
        eventually(
            lambda: len(self.hotserve.server_processes()) == 1 == len(self.hotserve.guards()),
            "the processes of other versions were not stopped",
        )


@pytest.fixture(scope="module")
def followed(
    mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Followed]:
    home = tmp_path_factory.mktemp("hotserve")
    registry = Registry(mlflow_server.url)
    uri = f"models:/{NAME}/Production"
    with running_hotserve(uri, home, mlflow_server.environment()) as hotserve:
        # The port may be open before the registry has answered.
        hotserve.wait_for(
            "it does not say what is missing",
            lambda model: f"no registered model '{NAME}'" in str(model["message"]),
        )
        nothing = hotserve.get("/ping")
        assert nothing.status_code == 503
        assert nothing.headers["Retry-After"]
        assert nothing.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert f"no registered model '{NAME}'" in nothing.json()["message"]
        assert hotserve.predict("boneca de pano").json() == nothing.json()
        assert hotserve.model()["state"] == "waiting"

        first = registry.register(NAME, text_model())
        hotserve.wait_for(
            "it does not say which stage is empty",
            lambda model: "is in Production yet" in str(model["message"]),
        )
        registry.move(NAME, first, "Production")
        hotserve.wait_for_version(first)
        second = registry.register(NAME, constant_model("segunda"))
        yield Followed(hotserve, registry, {first: "brinquedo", second: "segunda"})


def test_it_waits_for_a_first_version_and_begins_by_itself(followed: Followed) -> None:
    followed.promote("1")
    answer = followed.hotserve.predict("boneca de pano")
    assert answer.json() == {"predictions": ["brinquedo"]}
    assert answer.headers["X-Model-Version"] == "1"
    assert followed.hotserve.get("/ping").status_code == 200
    assert followed.hotserve.get("/health").status_code == 200


def test_model_tells_what_is_served(followed: Followed) -> None:
    followed.promote("1")
    model = followed.hotserve.model()
    registered = followed.registry.client.get_model_version(NAME, "1")
    assert model["name"] == NAME
    assert model["stage"] == "Production"
    assert model["run_id"] == registered.run_id
    assert model["lane"]["state"] in ("compiling", "open")
    assert model["since"]


def test_promotion_and_roll_back_fail_no_request(followed: Followed) -> None:
    followed.promote("1")
    with Stream(followed.hotserve.url) as stream:
        followed.promote("2")
        stream.wait_for("2")
        followed.promote("1")
    assert stream.failures == []
    assert set(stream.answers) == set(followed.answers.items())
    assert [(s["from"], s["to"]) for s in followed.hotserve.model()["switches"]][-2:] == [
        ("1", "2"),
        ("2", "1"),
    ]


def test_front_workers_that_are_killed_are_replaced(followed: Followed) -> None:
    followed.promote("1")
    before = {worker.pid for worker in followed.hotserve.workers()}
    assert len(before) == len(os.sched_getaffinity(0)), "not one worker per core"
    for worker in followed.hotserve.workers():
        worker.kill()

    def all_are_new() -> bool:
        pids = {worker.pid for worker in followed.hotserve.workers()}
        return len(pids) == len(before) and not pids & before

    eventually(all_are_new, "no new workers")
    assert followed.hotserve.predict("boneca de pano").json() == {"predictions": ["brinquedo"]}


def test_a_guard_that_is_killed_leaves_no_server_process(followed: Followed) -> None:
    followed.promote("1")
    hotserve = followed.hotserve
    [guard] = hotserve.guards()
    before = guard.children(recursive=True)
    assert before == hotserve.server_processes(), "a process that only waits"
    guard.kill()
    _, alive = psutil.wait_procs(before, timeout=PATIENCE)
    assert alive == []
    assert hotserve.predict("boneca de pano").json() == {"predictions": ["brinquedo"]}


def test_a_stage_left_empty_keeps_the_last_version(followed: Followed) -> None:
    followed.promote("1")
    hotserve = followed.hotserve
    followed.registry.move(NAME, "1", "Archived")
    hotserve.wait_for("it does not say so", lambda m: "is in Production" in str(m["note"]))
    assert hotserve.model()["version"] == "1"
    assert hotserve.predict("boneca de pano").headers["X-Model-Version"] == "1"
    followed.promote("1")
    hotserve.wait_for("it still says so", lambda model: model["note"] is None)


def test_two_versions_in_one_stage_are_noted(followed: Followed) -> None:
    followed.promote("2")
    hotserve = followed.hotserve
    # As the web page does it where «archive the others» is not ticked.
    followed.registry.client.transition_model_version_stage(NAME, "1", "Production", False)
    hotserve.wait_for(
        "it does not say so", lambda model: "versions 1 and 2 of" in str(model["note"])
    )
    assert "version 2 answers" in hotserve.model()["note"]
    assert hotserve.log.read_text().count("versions 1 and 2 of") == 1
    assert hotserve.predict("boneca de pano").headers["X-Model-Version"] == "2"
    followed.promote("2")
    hotserve.wait_for("it still says so", lambda model: model["note"] is None)


def test_aliases_are_as_fresh_as_the_stage_and_gone_when_they_are_gone(followed: Followed) -> None:
    client, hotserve = followed.registry.client, followed.hotserve
    followed.promote("1")
    followed.registry.move(NAME, "2", "Production")
    hotserve.wait_for("it does not start", lambda model: model["wanted"] is not None)
    client.set_registered_model_alias(NAME, "novo", "2")
    hotserve.wait_for_version("2")
    hotserve.wait_for("no alias", lambda model: model["aliases"] == ["novo"])
    assert 'aliases="novo"' in hotserve.get("/metrics").text
    followed.registry.move(NAME, "2", "Archived")
    hotserve.wait_for("not noted", lambda model: "is in Production" in str(model["note"]))
    client.delete_registered_model_alias(NAME, "novo")
    hotserve.wait_for("an alias that is gone", lambda model: model["aliases"] == [])
    assert hotserve.model()["stage"] == "Archived"
    followed.promote("1")


def test_a_front_worker_stays_small_and_without_mlflow(followed: Followed) -> None:
    for process in [*followed.hotserve.workers(), psutil.Process(followed.hotserve.process.pid)]:
        assert process.memory_info().rss <= 90e6
        loaded = {Path(mapped.path).name for mapped in process.memory_maps()}
        assert not [name for name in loaded if "pandas" in name or "sklearn" in name]


def test_sigterm_ends_it_and_all_it_started(tmp_path: Path) -> None:
    """On a model in a folder, which is served as it is."""
    with running_hotserve(save(text_model(), tmp_path / "model"), tmp_path) as hotserve:
        hotserve.wait_until_serving()
        answer = hotserve.predict("halo")
        assert answer.json() == {"predictions": ["game"]}
        assert hotserve.model()["version"] == answer.headers["X-Model-Version"] != ""
        assert str(tmp_path) not in hotserve.get("/model").text
        hotserve.process.send_signal(signal.SIGTERM)
        assert hotserve.process.wait(PATIENCE) == 0
        assert hotserve.nothing_is_left()


def test_ctrl_c_during_the_start_is_a_clean_stop(tmp_path: Path) -> None:
    folder = save(text_model(), tmp_path / "model")
    with running_hotserve(folder, tmp_path, options=("--workers", "4")) as hot:
        eventually(lambda: len(hot.workers()) == 4, "the workers are not started")
        os.killpg(hot.process.pid, signal.SIGINT)
        assert hot.process.wait(PATIENCE) == 0
        assert hot.nothing_is_left()
        lines = hot.log.read_text("utf-8").splitlines()
    assert [line for line in lines if " hotserve: " not in line] == []
    assert lines[-1].endswith("hotserve: stopped")


def test_sigkill_of_the_manager_leaves_no_process(
    followed: Followed, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    """On an alias, which is followed like a stage."""
    followed.registry.client.set_registered_model_alias(NAME, "campeã", "2")
    uri = f"models:/{NAME}@campeã"
    with running_hotserve(uri, tmp_path, mlflow_server.environment()) as hotserve:
        hotserve.wait_for_version("2")
        assert "campeã" in hotserve.model()["aliases"]
        hotserve.process.kill()
        eventually(hotserve.nothing_is_left, "processes are left")
