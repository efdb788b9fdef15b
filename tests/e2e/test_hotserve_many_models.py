"""One hotserve for every registered model that matches a pattern."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import expect

from tests.e2e.conftest import MlflowServer, running_mlflow_server
from tests.e2e.hotserve_models import DIES, Registry, constant_model, text_model
from tests.e2e.hotserve_process import CSV, PATIENCE, Hotserve, eventually, running_hotserve
from tests.e2e.registry_page import chromium
from tests.e2e.stream import Stream
from tests.e2e.watched_page import assert_fits_and_reads_well, opened

ANA, ESCAPED, BROKEN = "turma-ana", "turma-joão 50% off", "turma-quebrado"
URI = "models:/turma-*@champion"
OPTIONS = ("--workers", "2")
NUMBERS = {"dataframe_split": {"columns": ["x"], "data": [["halo"]]}}
"""What no lane answers."""


@dataclass
class Turma:
    """A hotserve of the models of a class, and the registry that it follows."""

    hotserve: Hotserve
    registry: Registry
    mlflow: MlflowServer
    home: Path

    def url(self, name: str, path: str = "") -> str:
        return f"{self.hotserve.url}/models/{quote(name, safe='')}{path}"

    def model(self, name: str) -> dict[str, Any]:
        """What is said of a model; empty where it is not served."""
        answer = requests.get(self.url(name, "/model"), timeout=PATIENCE)
        found: dict[str, Any] = answer.json() if answer.ok else {}
        return found

    def predict(self, name: str, text: str = "halo") -> requests.Response:
        return requests.post(
            self.url(name, "/invocations"), text.encode(), headers=CSV, timeout=PATIENCE
        )

    def ask_process(self, name: str) -> requests.Response:
        return requests.post(self.url(name, "/invocations"), json=NUMBERS, timeout=PATIENCE)

    def wait_for(self, name: str, version: str, lane: str = "open") -> None:
        def is_there() -> bool:
            model = self.model(name)
            return bool(
                model
                and (model["version"], model["state"]) == (version, "serving")
                and model["lane"]["state"] == lane
            )

        try:
            eventually(is_there, f"{name} version {version} does not answer")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.hotserve.log.read_text()}") from None

    def listed(self) -> dict[str, str | None]:
        """The versions in the list, by name."""
        models = self.hotserve.get("/models").json()["models"]
        return {model["name"]: model["version"] for model in models}

    def register(self, name: str, model: Any) -> str:
        version = self.registry.register(name, model)
        self.registry.client.set_registered_model_alias(name, "champion", version)
        return version


@pytest.fixture(scope="module")
def turma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turma]:
    home = tmp_path_factory.mktemp("turma")
    with running_mlflow_server(home / "mlflow") as mlflow:
        registry = Registry(mlflow.url)
        with running_hotserve(URI, home, mlflow.environment(), options=OPTIONS) as hotserve:
            yield Turma(hotserve, registry, mlflow, home)


def test_nothing_matches_yet(turma: Turma) -> None:
    eventually(
        lambda: "no registered model matches 'turma-*'" in turma.hotserve.get("/ping").text,
        "it does not say what is missing",
    )
    assert turma.hotserve.get("/ping").status_code == 503
    refused = turma.predict(ANA)
    assert (refused.status_code, refused.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert "no registered model matches" in refused.json()["message"]


def test_models_appear_and_answer_by_name(turma: Turma) -> None:
    turma.register(ANA, text_model("-ana"))
    turma.register(ESCAPED, text_model("-joão"))
    turma.registry.register("outra", text_model())
    turma.wait_for(ANA, "1")
    turma.wait_for(ESCAPED, "1")
    for name, mark in ((ANA, "ana"), (ESCAPED, "joão")):
        answer = turma.predict(name)
        assert answer.json() == {"predictions": [f"game-{mark}"]}
        assert answer.headers["X-Hotserve-Lane"] == "fast"
        assert turma.ask_process(name).headers["X-Hotserve-Lane"] == "process"
        tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "data": ["halo"]}
        v2 = f"{turma.hotserve.url}/v2/models/{quote(name, safe='')}"
        inferred = requests.post(f"{v2}/infer", json={"inputs": [tensor]}, timeout=PATIENCE)
        assert inferred.json()["model_name"] == name
        assert inferred.json()["outputs"][0]["data"] == [f"game-{mark}"]
    assert turma.listed() == {ANA: "1", ESCAPED: "1"}
    assert turma.hotserve.get("/ping").status_code == 200
    page = requests.get(turma.url(ANA, "/"), timeout=PATIENCE)
    assert "page/page.js" in page.text


def test_one_is_promoted_and_the_other_does_not_notice(turma: Turma) -> None:
    version = turma.register(ANA, text_model("-ana2"))
    turma.wait_for(ANA, version)
    assert turma.predict(ANA).json() == {"predictions": ["game-ana2"]}
    other = turma.model(ESCAPED)
    assert (other["version"], len(other["switches"])) == ("1", 1)


def test_a_broken_model_among_good_ones(turma: Turma) -> None:
    version = turma.registry.register_faulty(BROKEN, DIES)
    turma.registry.client.set_registered_model_alias(BROKEN, "champion", version)
    eventually(
        lambda: "would not start" in str(turma.model(BROKEN).get("message")), "it is not told"
    )
    refused = turma.predict(BROKEN)
    assert refused.status_code == 503
    assert "would not start" in refused.json()["message"]
    assert turma.predict(ANA).status_code == 200
    metrics = turma.hotserve.get("/metrics").text
    assert f'hotserve_ready{{model="{BROKEN}"}} 0.0' in metrics
    assert f'hotserve_ready{{model="{ANA}"}} 1.0' in metrics
    ready = [line for line in metrics.splitlines() if line.startswith("hotserve_requests_total")]
    assert any(f'model="{ESCAPED}"' in line and 'lane="fast"' in line for line in ready)


def test_a_model_is_deleted_and_registered_again(turma: Turma) -> None:
    turma.registry.client.delete_registered_model(BROKEN)
    eventually(lambda: BROKEN not in turma.listed(), "it is still there")
    assert turma.predict(BROKEN).status_code == 404
    turma.register(BROKEN, constant_model("novo"))
    turma.wait_for(BROKEN, "1", lane="shut")
    assert turma.predict(BROKEN).json() == {"predictions": ["novo"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_is_a_page_that_leads_to_each_model(turma: Turma, scheme: str) -> None:
    size = {"width": 360, "height": 740}
    with (
        chromium() as browser,
        opened(browser, turma.hotserve.url, viewport=size, color_scheme=scheme) as watched,
    ):
        page = watched.page
        expect(page.locator("#models tr")).to_have_count(3)
        assert_fits_and_reads_well(page)
        # As it is where tokens are wanted.
        page.route("**/models", lambda route: route.fulfill(status=401))
        page.reload()
        expect(page.get_by_label("Token")).to_be_visible()
        assert_fits_and_reads_well(page)
        page.unroute("**/models")
        page.get_by_label("Token").fill("qualquer")
        page.get_by_role("button", name="English").click()
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("link", name=ANA).click()
        watched.is_answered("halo", "game-ana2")


def test_processes_start_when_they_are_needed_and_make_room_for_each_other(turma: Turma) -> None:
    options = (*OPTIONS, "--max-processes", "1")
    environment = turma.mlflow.environment()
    with running_hotserve(URI, turma.home, environment, options=options) as again:
        small = replace(turma, hotserve=again)
        again.get("/models")
        for name in (ANA, ESCAPED):
            small.wait_for(name, turma.listed()[name] or "")
            assert small.predict(name).headers["X-Hotserve-Lane"] == "fast"
        small.wait_for(BROKEN, "1", lane="shut")
        assert again.server_processes() == [], "the lane answers, and nobody needed one"
        for name in (BROKEN, ANA, BROKEN):
            answer = small.predict(name) if name == BROKEN else small.ask_process(name)
            assert (answer.status_code, answer.headers["X-Hotserve-Lane"]) == (200, "process")
            assert len(again.guarded_servers()) == 1
            others = {each for each in (ANA, ESCAPED, BROKEN) if each != name}
            assert {small.model(other)["process"]["state"] for other in others} == {"asleep"}


@pytest.mark.slow
def test_more_in_use_than_there_is_memory_for_take_turns(turma: Turma) -> None:
    options = (*OPTIONS, "--max-memory", "1M")
    more = ("--timeout", "200")  # a start takes long on a busy machine
    environment = turma.mlflow.environment()
    with running_hotserve(URI, turma.home, environment, options=options, more=more) as again:
        small = replace(turma, hotserve=again)
        again.get("/models")
        for name in (ANA, BROKEN):
            small.wait_for(name, turma.listed()[name] or "", "open" if name == ANA else "shut")

        def memory(name: str) -> float:
            return again.samples().value("hotserve_process_memory_bytes", model=name)

        with Stream(small.url(BROKEN)) as stream:
            eventually(lambda: memory(BROKEN) > 10e6, "its memory is not told")
            assert memory(ANA) == 0
            # It alone is too large, and asked all the time.
            answer = small.ask_process(ANA)
            assert (answer.status_code, answer.headers["X-Hotserve-Lane"]) == (200, "process")
            served = len(stream.answers)
            eventually(lambda: len(stream.answers) > served + 10, "it has no turn again")
            assert len(again.guarded_servers()) == 1
        assert stream.failures == []
        assert {told for _, told in stream.answers} == {"novo"}
    assert "others wait for its room" in again.log.read_text()
