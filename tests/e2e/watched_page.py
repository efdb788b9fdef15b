"""A page in Chromium: what it asked for, what it complained about, whether it reads well."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.e2e.registry_page import PATIENCE


@dataclass
class Watched:
    """A page, and all that it asked for and complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def type(self, text: str) -> None:
        """Put a text where the product goes."""
        self.page.get_by_role("textbox").fill(text)

    def is_answered(self, text: str, category: str) -> None:
        """Put a text where the product goes; return once the page says this category."""
        self.type(text)
        self.has_answered(category)

    def has_answered(self, category: str) -> None:
        """Return once the page says this category."""
        expect(self.page.locator("#category")).to_have_text(category)


def watch(page: Page) -> Watched:
    watched = Watched(page)

    def complained(message: ConsoleMessage) -> None:
        # Chromium's own line for an answer of 4xx or 5xx, which some tests are about.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            watched.complaints.append(message.text)

    page.on("console", complained)
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))

    def failed(request: Request) -> None:
        # A page that is left, or loaded anew, gives up what was still on its way.
        if "/page/" in request.url and request.failure != "net::ERR_ABORTED":
            watched.complaints.append(f"{request.url}: {request.failure}")

    page.on("requestfailed", failed)
    page.on("request", lambda request: watched.hosts.add(urlsplit(request.url).netloc))
    page.set_default_timeout(PATIENCE)
    return watched


@contextmanager
def watching(browser: Browser, *, locale: str = "pt-BR", **options: object) -> Iterator[Watched]:
    """A browser of its own; afterwards its page has complained of nothing."""
    context: BrowserContext = browser.new_context(locale=locale, **options)  # type: ignore[arg-type]
    watched = watch(context.new_page())
    try:
        yield watched
        assert not watched.complaints, watched.complaints
    finally:
        # A page that asks every second may be asking: its answer must not come after the end.
        watched.page.unroute_all(behavior="ignoreErrors")
        context.close()


@contextmanager
def opened(browser: Browser, url: str, **options: object) -> Iterator[Watched]:
    """The page in a browser of its own; afterwards it has asked no other host for anything."""
    with watching(browser, **options) as watched:  # type: ignore[arg-type]
        watched.page.goto(url)
        yield watched
        assert watched.hosts == {urlsplit(url).netloc}


def shown_text(page: Page) -> set[str]:
    """Each text of the page between two tags, except code."""
    return set(
        page.evaluate("""() => {
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const texts = [];
            while (walker.nextNode()) {
                if (!walker.currentNode.parentElement.closest("pre, script, noscript"))
                    texts.push(walker.currentNode.data.trim());
            }
            return texts.filter(Boolean);
        }""")
    )


def assert_fits_and_reads_well(page: Page) -> None:
    """No horizontal scrolling, no finding of axe-core, and nothing too small for a thumb."""
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    # Colours that are still changing are none that anybody reads.
    page.wait_for_function("document.getAnimations().length === 0")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate(SMALL_TARGETS) == []


SMALL_TARGETS = """() => {
    const inSentence = (e) => e.matches("a") && [...e.parentElement.childNodes].some(
        (node) => node !== e && node.textContent.trim() && !node.matches?.("a"),
    ) && !e.closest("nav");
    return [...document.querySelectorAll("a[href], button, summary, input, textarea, select")]
        .filter((e) => e.checkVisibility() && !inSentence(e))
        .filter((e) => {
            const { width, height } = e.getBoundingClientRect();
            return Math.min(width, height) < 44;
        })
        .map((e) => e.outerHTML.slice(0, 120));
}"""
"""Below the 44 pixels of WCAG 2.2's criterion 2.5.5, links within a sentence left out as there."""
