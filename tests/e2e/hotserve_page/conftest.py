"""One hotserve for all files of this folder, and the page on it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from produtos.parameters import LOGISTIC_REGRESSION, NAIVE_BAYES
from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, constant_model
from tests.e2e.hotserve_page.served import NAME, Served, trained_version
from tests.e2e.hotserve_process import running_hotserve
from tests.e2e.registry_page import chromium
from tests.e2e.watched_page import Watched, opened


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def served(
    browser: Browser, mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Begins without any version, with a page open on it that somebody has typed into."""
    registry = Registry(mlflow_server.url)
    home = tmp_path_factory.mktemp("hotserve-page")
    uri = f"models:/{NAME}/Production"
    options = ("--compare", "Staging")
    with running_hotserve(uri, home, mlflow_server.environment(), options=options) as hotserve:
        hotserve.get("/model")
        with opened(browser, hotserve.url) as early:
            notice = early.page.locator("#notice")
            expect(notice).to_contain_text("Ainda não há modelo")
            expect(notice).to_contain_text(f"no registered model '{NAME}'")
            early.type("boneca de pano")
            expect(early.page.locator("#one")).to_be_hidden()
            versions = {NAIVE_BAYES: trained_version(registry, NAIVE_BAYES)}
            expect(notice).to_contain_text("is in Production yet")
            registry.move(NAME, versions[NAIVE_BAYES], "Production")
            versions[LOGISTIC_REGRESSION] = trained_version(registry, LOGISTIC_REGRESSION)
            without = registry.register(NAME, constant_model("sempre esta"))
            hotserve.wait_for_version(versions[NAIVE_BAYES])
            yield Served(hotserve, registry, versions, without, early)


@pytest.fixture
def at_first(served: Served) -> Served:
    """With the first version in Production."""
    served.promote(served.with_probabilities[NAIVE_BAYES])
    return served


@pytest.fixture
def watched(browser: Browser, at_first: Served) -> Iterator[Watched]:
    with opened(browser, at_first.hotserve.url) as watched:
        yield watched
