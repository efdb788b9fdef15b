"""The page for everybody: languages, keyboard, phones, screen readers."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.hotserve_page.served import CATEGORIES, SEVERAL, Served
from tests.e2e.watched_page import Watched, assert_fits_and_reads_well, opened, shown_text


def test_both_languages(browser: Browser, at_first: Served) -> None:
    with opened(browser, at_first.hotserve.url, locale="en-GB") as watched:
        page = watched.page
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.get_by_role("heading", level=1)).to_have_text("Which category is this product?")
        watched.is_answered("boneca de pano", "brinquedo")
        expect(page.locator("#served")).to_have_text("Version 1")
        english = shown_text(page)
        page.get_by_role("button", name="Português").click()
        expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
        expect(page).to_have_title("De que categoria é este produto?")
        portuguese = shown_text(page)
        page.reload()
        expect(page.locator("#served")).to_have_text("Versão 1")
        expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    same = english & portuguese
    allowed = CATEGORIES | {"Token", "Production"}
    assert {text for text in same if re.search(r"[a-z]{3} ", text)} - allowed == set(EXAMPLES)


EXAMPLES = ("boneca de pano", "senhor dos anéis", "senhor dos aneis")


def test_the_keyboard_is_enough(watched: Watched) -> None:
    page = watched.page
    expect(page.get_by_role("textbox")).to_be_focused()
    page.keyboard.type("boneca de pano")
    watched.has_answered("brinquedo")
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() == 0:
            break
        outline = focused.evaluate("e => getComputedStyle(e).outlineStyle")
        assert outline != "none", focused.evaluate("e => e.outerHTML")
        reached.append(focused.evaluate("e => e.id || e.textContent.trim()"))
        if reached[-1] == "halo":
            page.keyboard.press("Enter")
            watched.has_answered("game")
    for control in ("open", "boneca de pano", "halo", "Perguntar de um programa"):
        assert control in reached
    page.locator("body").press("Shift+Tab")
    page.get_by_role("button", name="English").focus()
    page.keyboard.press("Space")
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_with_contrast(
    browser: Browser, at_first: Served, scheme: str
) -> None:
    size = {"width": 360, "height": 740}
    with opened(
        browser, at_first.hotserve.url, viewport=size, color_scheme=scheme, has_touch=True
    ) as watched:
        page = watched.page
        watched.type("supercalifragilistico" * 8)
        expect(page.locator("#one")).to_be_visible()
        assert_fits_and_reads_well(page)
        watched.type(SEVERAL + "supercalifragilistico" * 20)
        expect(page.locator("#rows tr")).to_have_count(4)
        page.get_by_text("Perguntar de um programa").click()
        assert_fits_and_reads_well(page)
        long = page.locator("#rows .text span").last
        assert long.evaluate("e => e.scrollHeight > e.clientHeight")
        long.tap()
        assert long.evaluate("e => e.scrollHeight <= e.clientHeight")
        assert_fits_and_reads_well(page)


def test_a_screen_reader_is_told_the_answer(watched: Watched) -> None:
    assert watched.page.get_by_role("heading", level=1).count() == 1
    assert watched.page.locator("#category[aria-live=polite]").count() == 1


def test_nothing_moves_for_those_who_asked_for_that(browser: Browser, at_first: Served) -> None:
    with opened(browser, at_first.hotserve.url, reduced_motion="reduce") as watched:
        watched.is_answered("boneca de pano", "brinquedo")
        bar = watched.page.locator("#bars .fill").first
        assert bar.evaluate("e => getComputedStyle(e).transitionDuration") == "0s"
