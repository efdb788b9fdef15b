"""How the page is sent, and when it asks."""

import re
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, Route, expect

from tests.e2e.hotserve_page.served import Served
from tests.e2e.hotserve_process import PATIENCE
from tests.e2e.watched_page import Watched, watching


def test_it_works_below_a_path(browser: Browser, at_first: Served) -> None:
    def strip(route: Route) -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace("/loja/modelo/", "/")))

    host = urlsplit(at_first.hotserve.url).netloc
    with watching(browser) as watched:
        watched.page.route("**/*", lambda route: route.abort())
        watched.page.route("**/loja/modelo/**", strip)
        watched.page.goto(f"http://{host}/loja/modelo/")
        watched.is_answered("boneca de pano", "brinquedo")
        expect(watched.page.locator("#served")).to_have_text("Versão 1")


def test_a_page_that_nobody_sees_asks_nothing(watched: Watched) -> None:
    page = watched.page
    page.clock.install()
    page.reload()
    expect(page.locator("#served")).to_have_text("Versão 1")
    with page.expect_response("**/model"):
        page.clock.run_for(10_000)
    see = """isHidden => {
        Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(see, True)
    looks: list[str] = []
    page.on("request", lambda request: looks.append(request.url))
    page.clock.run_for(600_000)
    assert looks == []
    with page.expect_response("**/model"):
        page.evaluate(see, False)


def test_files_are_sent_once_and_let_nothing_else_in(at_first: Served) -> None:
    url = at_first.hotserve.url
    page = requests.get(url, timeout=PATIENCE)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    names = set(re.findall(r'(?:href|src)="(page/[^"]+)"', page.text))
    assert {name.rpartition(".")[2] for name in names} == {"css", "js", "svg"}
    for name in ["", *sorted(names)]:
        first = requests.get(f"{url}/{name}", timeout=PATIENCE)
        assert first.status_code == 200, name
        assert first.headers["X-Content-Type-Options"] == "nosniff"
        known = {"If-None-Match": first.headers["ETag"]}
        again = requests.get(f"{url}/{name}", headers=known, timeout=PATIENCE)
        assert (again.status_code, again.content) == (304, b"")
    assert requests.head(url, timeout=PATIENCE).status_code == 200
    assert requests.post(url, timeout=PATIENCE).status_code == 405
    for missing in ("page/", "page/../page_files.py", "page/index.html", "page/nada.js"):
        assert requests.get(f"{url}/{missing}", timeout=PATIENCE).status_code == 404
