"""A page in Chromium: what it asked for, what it complained about, whether it reads well."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

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
    """No horizontal scrolling, and WCAG AA's contrast for every text that is shown."""
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    assert page.evaluate(POOR_CONTRAST) == []


POOR_CONTRAST = """() => {
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => {
        const [r, g, b] = numbers(color).slice(0, 3).map((part) => {
            const c = part / 255;
            return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const color = getComputedStyle(e).backgroundColor;
            if ((numbers(color)[3] ?? 1) > 0) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const poor = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!own || !element.checkVisibility() || element.disabled) continue;
        const one = luminance(getComputedStyle(element).color);
        const other = luminance(ground(element));
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (ratio < 4.5) poor.push(`${element.outerHTML.slice(0, 80)}: ${ratio.toFixed(2)}`);
    }
    return poor;
}"""
