"""The registry in MLflow's page: what is clicked there is what `:8080` and batch jobs answer.

The model is the chapter's: version 1 knows `anéis` but not `aneis`, version 2 knows both. The tests
go on where the one before them stopped.
"""

import csv
import io
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import expect

from tests.e2e.batch_jobs import BatchJobs
from tests.e2e.conftest import MlflowServer, running_mlflow_server
from tests.e2e.hotserve_process import Hotserve, eventually, running_hotserve
from tests.e2e.pictures import HEIGHT, WIDTH
from tests.e2e.registry_page import RegistryPage, chromium
from tests.e2e.stream import Stream
from tests.support.commands import ROOT, completed

TRAINER = ROOT / "trainer"
MODEL = "classificador-produtos"
WITHOUT_ACCENT = "senhor dos aneis"

RUNS = [("0.1", "sim", "não"), ("0.1", "não", "não"), ("0.2", "sim", "sim")]
"""Test size, names, accents: two of the chapter's first round, and one of its second."""


@dataclass(frozen=True)
class Registry:
    """A tracking server with three runs in it, its page, and the API that follows it."""

    server: MlflowServer
    api: Hotserve
    page: RegistryPage
    client: MlflowClient

    def stages(self) -> dict[str, str]:
        """Stage by version."""
        found = self.client.search_model_versions(f"name='{MODEL}'")
        return {str(each.version): str(each.current_stage) for each in found}

    def batch(self, model: str, *texts: str) -> list[str]:
        """What a batch job answers for some texts; its command is always the same."""
        said, _ = BatchJobs(self.server, self.server.home).done("--model", model, *texts)
        rows = csv.DictReader(io.StringIO(said), delimiter=";")
        return [row["categoria_prevista"] for row in rows]


def train(server: MlflowServer, test_size: str, include_names: str, strip_accents: str) -> None:
    done = completed(
        [
            *(sys.executable, str(TRAINER / "train.py"), "--test_size", test_size),
            *("--include_names", include_names, "--strip_accents", strip_accents),
        ],
        env=server.environment(),
        cwd=server.home,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The chapter's starting point: runs, no registered model, and an API that waits for one."""
    folder = tmp_path_factory.mktemp("registry-page")
    with (
        chromium() as browser,
        running_mlflow_server(folder / "mlflow") as server,
        running_hotserve(
            f"models:/{MODEL}/Production", folder / "api", server.environment()
        ) as api,
    ):
        train(server, *RUNS[0])
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda each: train(server, *each), RUNS[1:]))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
        yield Registry(server, api, RegistryPage(page, server.url), MlflowClient(server.url))


def test_runs_sorted_by_accuracy_show_the_best_first(registry: Registry) -> None:
    experiment = registry.client.get_experiment_by_name(MODEL)
    assert experiment is not None
    runs = registry.client.search_runs([experiment.experiment_id])
    highest = sorted((run.data.metrics["acuracia"] for run in runs), reverse=True)
    page = registry.page
    page.open_experiment(MODEL)
    page.choose_columns(
        shown=["acuracia", "include_names", "strip_accents"],
        hidden=["Dataset", "Source"],
    )
    page.sort_by("acuracia")

    eventually(
        lambda: page.figures("acuracia") == pytest.approx(highest, abs=1e-3),
        "the best run is not at the top, or not all runs have a line",
    )


def test_best_run_registered_as_a_new_model_is_served_once_it_is_in_production(
    registry: Registry,
) -> None:
    assert registry.api.get("/ping").status_code == 503
    registry.page.open_model_of_run("0.1 sim não")
    registry.page.register_as_new_model(MODEL)
    eventually(lambda: registry.stages() == {"1": "None"}, "there is no version 1")
    assert registry.api.predict(WITHOUT_ACCENT).status_code == 503

    registry.page.open_version(MODEL, 1)
    registry.page.show_stages()
    registry.page.move_to("Production")
    registry.api.wait_for_version("1")
    answer = registry.api.predict(f"boneca de pano\nsenhor dos anéis\n{WITHOUT_ACCENT}")
    assert answer.json()["predictions"] == ["brinquedo", "livro", "brinquedo"]


def test_another_run_registered_as_its_next_version_goes_to_staging(registry: Registry) -> None:
    page = registry.page
    page.open_experiment(MODEL)
    page.open_model_of_run("0.2 sim sim")
    page.register_as_version_of(MODEL)
    eventually(lambda: set(registry.stages()) == {"1", "2"}, "there is no version 2")
    versions = page.open_model(MODEL)
    expect(versions).to_have_count(2)
    expect(page.page.get_by_role("link", name="Version 2")).to_be_visible()

    page.open_version(MODEL, 2)
    page.move_to("Staging")
    assert registry.stages() == {"1": "Production", "2": "Staging"}
    assert registry.api.model()["version"] == "1"
    assert registry.batch("Production", WITHOUT_ACCENT) == ["brinquedo"]
    assert registry.batch("Staging", WITHOUT_ACCENT) == ["livro"]


def test_exchanged_stages_exchange_the_answers_and_lose_no_request(registry: Registry) -> None:
    page = registry.page
    with Stream(registry.api.url, WITHOUT_ACCENT) as stream:
        stream.wait_for("1")
        page.open_version(MODEL, 2)
        page.move_to("Production", current="Staging")
        page.open_version(MODEL, 1)
        page.move_to("Staging", current="Production")
        stream.wait_for("2")
    assert stream.failures == []
    assert set(stream.answers) == {("1", "brinquedo"), ("2", "livro")}
    assert stream.late("2") == []
    assert registry.stages() == {"1": "Staging", "2": "Production"}
    assert registry.batch("Production", WITHOUT_ACCENT) == ["livro"]
    assert registry.batch("Staging", WITHOUT_ACCENT) == ["brinquedo"]


def test_alias_set_in_the_page_is_followed(registry: Registry, tmp_path: Path) -> None:
    page = registry.page
    page.open_version(MODEL, 1)
    page.show_aliases()
    page.set_alias("campeao")
    environment = registry.server.environment()
    with running_hotserve(f"models:/{MODEL}@campeao", tmp_path, environment) as api:
        api.wait_for_version("1")
        assert api.predict(WITHOUT_ACCENT).json()["predictions"] == ["brinquedo"]
        page.open_version(MODEL, 2)
        page.set_alias("campeao")
        api.wait_for_version("2")
        assert api.predict(WITHOUT_ACCENT).json()["predictions"] == ["livro"]
    assert registry.batch("@campeao", WITHOUT_ACCENT) == ["livro"]
    assert registry.stages() == {"1": "Staging", "2": "Production"}
