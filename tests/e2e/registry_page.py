"""MLflow's web page as a person uses it: find runs, register one, move a stage, set an alias."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, expect, sync_playwright

# Without these Chromium keeps asking hosts of its maker, which a closed network refuses.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


PATIENCE = 90_000
"""Milliseconds for one step in a page: a moment, but not where everything else runs beside it."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless, with patience; skips the test where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip("no Chromium on this machine; tests/install-tools.sh installs it on Debian")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(
            executable_path=executable, args=CHROMIUM_ARGUMENTS, timeout=PATIENCE
        )
        yield browser
        browser.close()


def go(page: Page, url: str) -> None:
    """Open an address.

    Chromium gives up when a network comes or goes, as those of containers do.
    """
    try:
        page.goto(url)
    except Error as error:
        if "ERR_NETWORK_CHANGED" not in error.message:
            raise
        page.goto(url)


class RegistryPage:
    """Steps in MLflow's page, named after what the person does.

    Args:
        page: a page of a fresh browser context.
        url: the address of the MLflow server.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_default_timeout(PATIENCE)
        go(self.page, url)
        # The assistant takes a third of the page. Closed once, it stays closed, unless that was
        # before the page had remembered that it opened it.
        close = page.get_by_role("button", name="Close", exact=True)
        close.click()
        page.add_locator_handler(close.and_(page.locator("[data-assistant-ui] *")), Locator.click)
        page.get_by_role("button", name="Model training").click()

    def _see(self, what: Locator) -> None:
        """Return once it is there.

        A busy server may close a connection on which the browser is about to fetch a part of the
        page. MLflow says then that something went wrong, and a person loads the page anew.
        """
        failed = self.page.get_by_role("heading", name="Something went wrong")
        expect(what.or_(failed).first).to_be_visible()
        if failed.is_visible():
            self.page.reload()
            expect(what).to_be_visible()

    def open(self, url: str) -> None:
        """Open a list of runs by its address."""
        # Another address of the same page would only change what stands behind its `#`.
        go(self.page, "about:blank")
        go(self.page, url)
        self._see(self.page.locator("a[href*='/runs/']").first)

    def compare_all(self) -> None:
        """In the list of runs, have all of them compared."""
        self.page.get_by_role("columnheader").get_by_role("checkbox").first.click()
        self.page.get_by_role("button", name="Compare", exact=True).click()

    def open_experiment(self, experiment: str) -> None:
        """Open the list of an experiment's runs."""
        go(self.page, f"{self.url}/#/experiments")
        # A model of the same name has links of that name, on the page that is left.
        links = self.page.locator("a[href*='/experiments/']")
        link = links.filter(has_text=re.compile(f"^{re.escape(experiment)}$")).first
        self._see(link)
        link.click()
        self._see(self.page.locator("a[href*='/runs/']").first)

    def choose_columns(self, shown: list[str], hidden: list[str]) -> None:
        """In the list of runs, show some columns and leave others out."""
        self.page.get_by_role("button", name="Columns").click()
        search = self.page.get_by_placeholder("Search columns")
        tree = self.page.get_by_test_id("column-selector-tree")
        for names, checked in ((shown, True), (hidden, False)):
            for name in names:
                search.fill(name)
                row = tree.locator("[class*=tree-treenode]:has(> [class*=checkbox])").filter(
                    has=self.page.get_by_text(name, exact=True)
                )
                box = row.locator("> [class*=tree-checkbox]").first
                box.click()
                ticked = re.compile("checkbox-checked")
                (expect(box).to_have_class if checked else expect(box).not_to_have_class)(ticked)
        self.page.keyboard.press("Escape")
        expect(search).to_be_hidden()

    def sort_by(self, metric: str) -> None:
        """In the list of runs, put the one with the highest figure first."""
        self.page.get_by_role("button", name="Sort").click()
        self.page.get_by_placeholder("Search", exact=True).fill(metric)
        self.page.get_by_text(metric, exact=True).last.click()
        expect(self.page.get_by_role("button", name=f"Sort: {metric}")).to_be_visible()

    def column(self, name: str) -> list[str]:
        """What a column of the list of runs shows, from the top."""
        cells = self.page.locator(f"[role=gridcell][col-id$='`{name}`']")
        # All at one moment: the list may be drawn anew while it is read.
        shown = cells.evaluate_all(
            "cells => cells.map(c => [Number(c.parentElement.getAttribute('row-index')),"
            " c.innerText.trim()])"
        )
        return [text for _, text in sorted(shown)]

    def figures(self, name: str) -> list[float]:
        """What such a column shows, as numbers; empty while one of them is not there yet."""
        texts = [text.strip("…") for text in self.column(name)]
        are_there = all(re.fullmatch(r"\d+(\.\d+)?", text) for text in texts)
        return [float(text) for text in texts] if are_there else []

    def open_model_of_run(self, run_name: str) -> None:
        """From the list of runs, open a run and then the model that it logged."""
        self.page.get_by_role("link", name=run_name, exact=True).first.click()
        self._see(self.page.get_by_role("heading", name=run_name))
        self.page.locator("a[href*='/models/m-']:not([target=_blank])").first.click()
        self._see(self.page.get_by_role("button", name="Register model"))

    def register_as_new_model(self, name: str) -> None:
        """On a logged model's page, register it as version 1 of a new model."""
        dialog = self.start_registering()
        self.page.locator("[class*=select-dropdown]").get_by_text("Create New Model").last.click()
        dialog.get_by_label("Model Name").fill(name)
        dialog.get_by_role("button", name="Register", exact=True).click()
        expect(dialog).to_be_hidden()

    def start_registering(self) -> Locator:
        """On a logged model's page, ask to register it; returns the dialog, its list unfolded."""
        self.page.get_by_role("button", name="Register model").click()
        dialog = self.page.get_by_role("dialog", name="Register model")
        dialog.get_by_role("combobox").click()
        return dialog

    def register_as_version_of(self, model: str) -> None:
        """On a logged model's page, register it as the next version of an existing model."""
        dialog = self.start_registering()
        self.page.locator("[class*=select-dropdown]").get_by_text(model, exact=True).last.click()
        dialog.get_by_role("button", name="Register", exact=True).click()
        expect(dialog).to_be_hidden()

    def open_version(self, model: str, version: int) -> None:
        """Open the page of one version of a registered model."""
        go(self.page, f"{self.url}/#/models/{model}/versions/{version}")
        self._see(self.page.get_by_role("heading", name=f"Version {version}"))

    def open_model(self, model: str) -> Locator:
        """Open the page of a registered model; returns the links to its versions."""
        go(self.page, f"{self.url}/#/models/{model}")
        self._see(self.page.get_by_role("heading", name=model))
        return self.page.get_by_role("link", name=re.compile(r"^Version \d+$"))

    def set_alias(self, alias: str) -> None:
        """On a version's page in the new registry view, give it an alias."""
        self.page.get_by_title("Edit aliases").or_(
            self.page.get_by_role("button", name="Add", exact=True)
        ).first.click()
        dialog = self.page.get_by_role("dialog", name="Add/Edit alias")
        dialog.get_by_role("combobox").fill(alias)
        self.page.keyboard.press("Enter")
        dialog.get_by_role("button", name="Save aliases").click()
        expect(dialog).to_be_hidden()
        expect(self.page.get_by_title(alias, exact=True).first).to_be_visible()

    def show_aliases(self) -> None:
        """Go back to the new registry view."""
        switch = self.page.get_by_role("switch", name="New model registry UI")
        if not switch.is_checked():
            switch.click()
            expect(switch).to_be_checked()

    def show_stages(self) -> None:
        """Leave the new registry view, which knows aliases only, for the one with stages."""
        switch = self.page.get_by_role("switch", name="New model registry UI")
        if switch.is_checked():
            switch.click()
            self.page.get_by_role("button", name="Disable", exact=True).click()
            expect(switch).not_to_be_checked()

    def move_to(self, stage: str, current: str = "None") -> None:
        """On a version's page, move it from stage ``current`` to ``stage``."""
        dialog = self.start_moving_to(stage, current)
        dialog.get_by_role("button", name="OK").click()
        expect(dialog).to_be_hidden()
        expect(self.page.get_by_text(stage, exact=True).first).to_be_visible()

    def start_moving_to(self, stage: str, current: str = "None") -> Locator:
        """On a version's page, ask to move it; returns the dialog that wants to be sure."""
        self.page.get_by_text(current, exact=True).first.click()
        self.page.get_by_role("menuitem").filter(has_text=stage).click()
        return self.page.get_by_role("dialog", name="Stage transition")
