"""What is typed is answered, with why."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.hotserve_page.served import CATEGORIES, Served
from tests.e2e.watched_page import Watched, assert_fits_and_reads_well

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


def test_typing_shows_category_and_bars(watched: Watched) -> None:
    page = watched.page
    page.get_by_label("Nome ou descrição do produto").press_sequentially("boneca de pano")
    watched.has_answered("brinquedo")
    bars = page.locator("#bars li")
    expect(bars).to_have_count(len(CATEGORIES))
    assert {bar.locator(".name").inner_text() for bar in bars.all()} == CATEGORIES
    figures = [bar.locator(".figure").inner_text() for bar in bars.all()]
    total = sum(float(f.removesuffix("%").replace(",", ".")) for f in figures)
    assert total == pytest.approx(100, abs=0.5)
    expect(page.locator("#bars .best .name")).to_have_text("brinquedo")
    watched.is_answered("halo para xbox", "game")
    watched.type("")
    expect(page.locator("#one")).to_be_hidden()


def test_an_answer_that_comes_late_is_not_shown(watched: Watched) -> None:
    page = watched.page
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/invocations", hold_the_first)
    with page.expect_request("**/invocations") as first:
        watched.type("boneca de pano")
    with page.expect_event("requestfailed") as failed:
        watched.is_answered("senhor dos anéis", "livro")
    assert failed.value == first.value
    assert first.value.failure == "net::ERR_ABORTED"


def test_many_lines_are_asked_about_in_parts(watched: Watched) -> None:
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    watched.type("\n".join(f"boneca de pano n{number}" for number in range(600)))
    expect(watched.page.locator("#rows tr")).to_have_count(600)
    assert sum(url.endswith("/invocations") for url in asked) > 1
    expect(watched.page.locator("#totals")).to_have_text("600 brinquedo")


def test_each_word_stands_with_its_weight(watched: Watched, at_first: Served) -> None:
    page = watched.page
    watched.is_answered("senhor dos aneis nuncavista", "livro")
    why = page.locator("#why")
    expect(why.get_by_role("heading")).to_have_text(re.compile("^Por que livro, e não "))
    words = why.locator("li")
    expect(words).to_have_text(
        [
            re.compile(r"^senhor\+\d"),
            re.compile(r"^aneis\+\d"),
            "nuncavistanão conhece",
            re.compile("^antes de ler[+-]"),
            re.compile(r"^soma\+\d"),
        ]
    )
    *weights, total = (
        float(word.locator("small").inner_text().replace(",", ".").replace("−", "-"))
        for word in words.all()
        if "nuncavista" not in word.inner_text()
    )
    assert sum(weights) == pytest.approx(total, abs=0.03)
    assert words.nth(2).get_attribute("class") == "unknown"
    expect(words.nth(1)).to_have_class("for")
    assert_fits_and_reads_well(page)
    watched.type("boneca boneca de pano")
    expect(words.first).to_have_text(re.compile(r"^boneca ×2\+\d"))
    at_first.promote(at_first.without)
    watched.has_answered("sempre esta")
    expect(why).to_be_hidden()


def test_text_is_never_markup(watched: Watched, tmp_path: Path) -> None:
    page = watched.page
    watched.type(f"{HOSTILE}\n{HOSTILE}")
    expect(page.locator("#rows .text").first).to_have_text(HOSTILE)
    file = tmp_path / "<b>x.csv"
    file.write_text(f"nome;<b>sku</b>\n{HOSTILE};2\n")
    page.locator("#chooser").set_input_files(file)
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#rows .text")).to_have_text(HOSTILE)
    assert page.locator("main :is(img, script), .text b, .file b").count() == 0
    expect(page).to_have_title("De que categoria é este produto?")


def test_a_model_without_probabilities_gives_the_category(
    watched: Watched, at_first: Served
) -> None:
    watched.is_answered("boneca de pano", "brinquedo")
    at_first.promote(at_first.without)
    watched.has_answered("sempre esta")
    expect(watched.page.locator("#answered")).to_contain_text("sem probabilidades")
    expect(watched.page.locator("#bars")).to_be_hidden()
