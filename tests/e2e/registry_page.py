"""MLflow's web page as a person uses it: find runs, register one, move a stage."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

# Without these Chromium keeps asking hosts of its maker, which a closed network refuses.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless; skips the test where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip("no Chromium on this machine; tests/install-tools.sh installs it on Debian")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


class RegistryPage:
    """Steps in MLflow's page, named after what the person does.

    Args:
        page: a page of a fresh browser context.
        url: the address of the MLflow server.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.goto(url)
        # It takes a third of the page; closed once, it stays closed.
        page.get_by_role("button", name="Close", exact=True).click()
        page.get_by_role("button", name="Model training").click()

    def open_runs(self, experiment: str) -> Locator:
        """Open an experiment and unfold its latest parent run; returns the links of its runs."""
        self.page.goto(f"{self.url}/#/experiments")
        self.page.get_by_role("link", name=experiment, exact=True).first.click()
        self.page.locator("[role=gridcell]:has(a[href*='/runs/']) button").first.click()
        return self.page.locator("a[href*='/runs/']")

    def open_model_of_run(self, run_name: str) -> None:
        """From the list of runs, open a run and then the model that it logged."""
        self.page.get_by_role("link", name=run_name, exact=True).first.click()
        expect(self.page.get_by_role("heading", name=run_name)).to_be_visible()
        self.page.locator("a[href*='/models/m-']:not([target=_blank])").first.click()
        expect(self.page.get_by_role("button", name="Register model")).to_be_visible()

    def register_as_version_of(self, model: str) -> None:
        """On a logged model's page, register it as the next version of an existing model."""
        self.page.get_by_role("button", name="Register model").click()
        dialog = self.page.get_by_role("dialog", name="Register model")
        dialog.get_by_role("combobox").click()
        self.page.locator("[class*=select-dropdown]").get_by_text(model, exact=True).last.click()
        dialog.get_by_role("button", name="Register", exact=True).click()
        expect(dialog).to_be_hidden()

    def open_version(self, model: str, version: int) -> None:
        """Open the page of one version of a registered model."""
        self.page.goto(f"{self.url}/#/models/{model}/versions/{version}")
        expect(self.page.get_by_role("heading", name=f"Version {version}")).to_be_visible()

    def show_stages(self) -> None:
        """Leave the new registry view, which knows aliases only, for the one with stages."""
        switch = self.page.get_by_role("switch", name="New model registry UI")
        if switch.is_checked():
            switch.click()
            self.page.get_by_role("button", name="Disable", exact=True).click()
            expect(switch).not_to_be_checked()

    def move_to(self, stage: str, current: str = "None") -> None:
        """On a version's page, move it from stage ``current`` to ``stage``."""
        self.page.get_by_text(current, exact=True).first.click()
        self.page.get_by_role("menuitem").filter(has_text=stage).click()
        dialog = self.page.get_by_role("dialog", name="Stage transition")
        dialog.get_by_role("button", name="OK").click()
        expect(dialog).to_be_hidden()
        expect(self.page.get_by_text(stage, exact=True).first).to_be_visible()
