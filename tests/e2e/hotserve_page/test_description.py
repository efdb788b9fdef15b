"""The page at `/docs`, which describes the API."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.e2e.hotserve_page.served import NAME, Served
from tests.e2e.hotserve_process import PATIENCE
from tests.e2e.watched_page import assert_fits_and_reads_well, opened


def test_a_request_of_the_description_is_sent_and_copied(
    browser: Browser, at_first: Served, tmp_path: Path
) -> None:
    url = at_first.hotserve.url
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(browser, f"{url}/docs", permissions=permissions) as watched:
        page = watched.page
        request = page.locator("#post-invocations form").first
        request.get_by_role("button", name="Enviar").click()
        expect(request.get_by_role("status")).to_contain_text("200 OK")
        expect(request.get_by_role("status")).to_contain_text('"predictions": ["brinquedo"')
        for text in ("senhor dos anéis\nd'água", "@senhor dos anéis"):
            # Only what was copied now is to be read.
            page.evaluate("navigator.clipboard.writeText('')")
            request.get_by_role("textbox").fill(text)
            request.get_by_role("button", name="Copiar como curl").click()
            expect(request.get_by_role("button", name="Copiado")).to_be_visible()
            page.wait_for_function("navigator.clipboard.readText().then(text => text !== '')")
            copied = page.evaluate("navigator.clipboard.readText()")
            assert f"'{text[:8]}" in copied
            told = subprocess.run(
                ["bash", "-c", copied],
                capture_output=True,
                check=True,
                timeout=PATIENCE,
                cwd=tmp_path,
            )
            assert json.loads(told.stdout)["predictions"][0] == "livro"
            assert told.stdout.endswith(b"}\n")
        model = page.locator("#get-model form")
        model.get_by_role("button", name="Enviar").click()
        expect(model.get_by_role("status")).to_contain_text(f'"name": "{NAME}"')
        explained = page.locator("#post-explain form")
        explained.get_by_role("button", name="Enviar").click()
        expect(explained.get_by_role("status")).to_contain_text('"runner_up"')


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_description_of_the_api_is_a_page(
    browser: Browser, at_first: Served, scheme: str
) -> None:
    size = {"width": 360, "height": 740}
    url = at_first.hotserve.url
    with opened(browser, f"{url}/docs", viewport=size, color_scheme=scheme) as watched:
        page = watched.page
        expect(page.get_by_role("heading", name="POST /invocations")).to_be_visible()
        expect(page.get_by_role("button", name="Enviar").first).to_be_visible()
        assert_fits_and_reads_well(page)
        page.get_by_role("link", name="GET /model").click()
        expect(page).to_have_url(re.compile("#get-model$"))
        page.get_by_role("link", name="English").click()
        expect(page.get_by_role("button", name="Send").first).to_be_visible()
        assert_fits_and_reads_well(page)
    document = requests.get(f"{url}/openapi.json", timeout=PATIENCE)
    assert document.headers["Content-Type"] == "application/json"
    assert document.json()["openapi"].startswith("3.1")
