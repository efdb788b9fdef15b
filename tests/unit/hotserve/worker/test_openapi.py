"""The description of the API: valid, complete, and shown to people."""

import json
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from openapi_spec_validator import validate

import api_page
from hotserve import __version__
from hotserve.worker.app import App
from hotserve.worker.errors import CODES
from tests.unit.hotserve.worker.front_worker import FrontWorker

DOCUMENT: dict[str, Any] = json.loads(
    resources.files("hotserve").joinpath("openapi.json").read_text("utf-8")
)


def app() -> App:
    """An application that was never asked anything."""
    return FrontWorker().app


def test_it_is_a_valid_openapi_document() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["info"]["version"] == __version__


def test_its_paths_are_those_of_the_application() -> None:
    assert set(DOCUMENT["paths"]) == {*app().paths, "/page/{file}"}


def test_it_knows_every_status_of_an_error() -> None:
    described = {
        int(status)
        for item in DOCUMENT["paths"].values()
        for operation in (item.get("get"), item.get("post"))
        if operation
        for status in operation["responses"]
    }
    # 404 stands with the page's files; a 502 is MLflow's own to give.
    assert described - {200} == set(CODES) - {502}


@pytest.mark.parametrize("path", sorted(DOCUMENT["paths"]))
def test_every_reference_leads_somewhere_and_every_error_is_the_same_json(path: str) -> None:
    item = DOCUMENT["paths"][path]
    operation = item.get("get") or item["post"]
    for status, told in operation["responses"].items():
        if status == "200":
            continue
        name = told["$ref"].rpartition("/")[2]
        error = DOCUMENT["components"]["responses"][name]
        schema = error["content"]["application/json"]["schema"]
        form = "OpenInferenceError" if path.startswith("/v2") else "Error"
        assert schema == {"$ref": f"#/components/schemas/{form}"}


class _Page(HTMLParser):
    """Collects headings, links, and tags left open."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.addresses.append(value or "")
            elif name == "id":
                self.ids.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("language", api_page.PAGES)
def test_the_page_for_people_shows_every_path_and_asks_no_other_host(language: str) -> None:
    page = _Page()
    page.feed(api_page.page(DOCUMENT, language))
    assert page.open == []
    for path in DOCUMENT["paths"]:
        assert path in page.text
    for name in ("X-Model-Version", "text/csv", "Retry-After", "probabilidades", "last_error"):
        assert name in page.text
    for address in page.addresses:
        assert ":" not in address
        assert not address.startswith("/")
        assert not address.startswith("#") or address[1:] in page.ids


@pytest.mark.parametrize("language", api_page.PAGES)
def test_the_page_is_made_of_the_document_as_it_is(language: str) -> None:
    made = api_page.page(DOCUMENT, language)
    assert api_page.PAGES[language].read_text("utf-8") == made, "run make api-page"


def test_no_translation_is_left_over() -> None:
    written = Path(str(api_page.__file__)).with_name("api_page.html").read_text("utf-8")
    english = written + json.dumps(DOCUMENT, ensure_ascii=False)
    with api_page.CATALOGUE.open("rb") as file:
        for message in read_po(file):
            said = str(message.id)
            assert said in english or json.dumps(said, ensure_ascii=False)[1:-1] in english, said


def test_what_the_document_says_is_text_and_not_markup() -> None:
    info = {**DOCUMENT["info"], "description": "<script>alert(1)</script> `a<b`"}
    page = api_page.page({**DOCUMENT, "info": info})
    assert "<script>" not in page
    assert "<code>a&lt;b</code>" in page


@pytest.mark.anyio
async def test_of_many_models_it_has_their_paths() -> None:
    worker = FrontWorker(models=["a"])
    document = (await worker.ask("GET", "/openapi.json")).json()
    validate(document)
    assert set(document["paths"]) == {*worker.app.paths, "/page/{file}"}
    for path in worker.app.paths:
        asked = path.replace("{name}", "a").replace("{version}", "7")
        method = "GET" if "get" in document["paths"][path] else "POST"
        answer = await worker.ask(method, asked, b"halo")
        assert answer.status in (200, 400, 415), path
    own = (await worker.ask("GET", "/models/a/openapi.json")).json()
    assert set(own["paths"]) == set(DOCUMENT["paths"])
    assert (await worker.ask("GET", "/docs")).status == 404
