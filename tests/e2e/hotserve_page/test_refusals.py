"""What the page does with a server that refuses, is away, or wants a token."""

import re

from playwright.sync_api import Route, expect

from tests.e2e.watched_page import Watched


def test_a_model_that_refuses_is_said_in_one_line(watched: Watched) -> None:
    # Every text is fine with every model here, so the refusal is the one part that is made up.
    page = watched.page
    refusal = {"error_code": "BAD_REQUEST", "message": "give a text <b>of words</b>"}
    page.route("**/invocations", lambda route: route.fulfill(status=400, json=refusal))
    watched.type("boneca de pano")
    notice = page.locator("#notice")
    expect(notice).to_contain_text("O modelo não aceitou isto: give a text <b>of words</b>")
    page.unroute("**/invocations")
    notice.get_by_role("button", name="Tentar de novo").click()
    watched.has_answered("brinquedo")
    expect(notice).to_be_hidden()


def test_a_model_that_refuses_json_is_asked_in_csv(watched: Watched) -> None:
    # Every model here takes JSON: the refusal is made up, the answer to the CSV is real.
    page = watched.page

    def refuse_json(route: Route) -> None:
        if route.request.headers["content-type"] == "application/json":
            route.fulfill(status=400, json={"error_code": "BAD_REQUEST", "message": "no"})
        else:
            route.continue_()

    page.route("**/invocations", refuse_json)
    watched.type('"boneca, de ""pano"""\nnome\nhalo; para xbox')
    expect(page.locator("#rows .text")).to_have_text(
        ['boneca, de "pano"', "nome", "halo; para xbox"]
    )
    expect(page.locator("#rows .category").first).to_have_text("brinquedo")
    expect(page.locator("#rows .category").last).to_have_text("game")
    expect(page.get_by_role("columnheader", name="lidade")).to_be_hidden()


def test_a_server_that_is_away_is_said_and_waited_for(watched: Watched) -> None:
    page = watched.page
    watched.is_answered("boneca de pano", "brinquedo")
    page.context.set_offline(True)
    watched.type("halo")
    expect(page.locator("#notice")).to_have_text("O servidor não responde. Tentando de novo…")
    expect(page.locator("#one")).to_be_hidden()
    page.context.set_offline(False)
    watched.has_answered("game")
    expect(page.locator("#notice")).to_be_hidden()


def test_half_an_answer_is_no_answer(watched: Watched) -> None:
    page = watched.page
    half = '{"predictions": ["brin'
    page.route(
        "**/invocations",
        lambda route: route.fulfill(content_type="application/json", body=half),
        times=1,
    )
    watched.type("boneca de pano")
    expect(page.locator("#notice")).to_have_text("O servidor não responde. Tentando de novo…")
    watched.has_answered("brinquedo")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_token_is_asked_for_and_kept(watched: Watched) -> None:
    page = watched.page

    def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer abre-te":
            route.continue_()
        else:
            answer = {"error_code": "UNAUTHENTICATED", "message": "a token is needed"}
            route.fulfill(status=401, json=answer)

    page.route(re.compile("/(invocations|model)$"), guard)
    watched.type("boneca de pano")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#notice")).to_contain_text("só responde a quem tem um token")
    watched.type("boneca")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Informar o token").click()
    page.keyboard.type("errado")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("O servidor não aceitou este token.")
    page.keyboard.type("abre-te")
    page.keyboard.press("Enter")
    watched.has_answered("brinquedo")
    expect(dialog).to_be_hidden()
    page.reload()
    watched.is_answered("halo", "game")
