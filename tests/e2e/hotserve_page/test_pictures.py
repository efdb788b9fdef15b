"""With PICTURES set to a folder, the pictures of docs/page.md are taken anew into it."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from produtos.parameters import LOGISTIC_REGRESSION, NAIVE_BAYES
from tests.e2e.hotserve_page.served import LABELLED, NAME, PICTURES, Served
from tests.e2e.watched_page import opened


@pytest.mark.skipif(not PICTURES, reason="PICTURES names no folder: none are wanted")
def test_pictures(browser: Browser, served: Served) -> None:
    served.promote(served.with_probabilities[LOGISTIC_REGRESSION])
    served.registry.move(NAME, served.with_probabilities[NAIVE_BAYES], "Staging")
    folder = Path(str(PICTURES))
    wide = {"width": 1100, "height": 640}
    phone = {"width": 360, "height": 740}
    for name, text, size, scheme in (
        ("page", "senhor dos aneis", wide, "light"),
        ("page-table", LABELLED, wide, "dark"),
        ("page-phone", "senhor dos anéis", phone, "light"),
    ):
        with opened(browser, served.hotserve.url, viewport=size, color_scheme=scheme) as watched:
            watched.type(text)
            expect(watched.page.locator(".answer:visible")).to_have_count(1)
            expect(watched.page.locator("#served")).to_have_text("Versão 2")
            # Its figures are read beside, and may come a moment later.
            expect(watched.page.locator("#version")).to_contain_text("Acurácia")
            if name != "page-table":
                expect(watched.page.locator("#why section")).to_have_count(2)
            # The bars have grown when nothing moves any more.
            watched.page.wait_for_function("document.getAnimations().length === 0")
            watched.page.screenshot(path=folder / f"{name}.png", full_page=name != "page-phone")
