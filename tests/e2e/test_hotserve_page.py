"""hotserve's page in a real Chromium: real models, a real registry, real processes.

With PICTURES set to a folder, the pictures of docs/page.md are taken anew into it.
"""

import csv
import json
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest
import requests
from playwright.sync_api import Browser, Route, expect

from produtos.data.dataset import load
from produtos.model import flavor as model_flavor
from produtos.parameters import LOGISTIC_REGRESSION, NAIVE_BAYES, Parameters
from produtos.runs.training import train
from tests.e2e.conftest import MlflowServer
from tests.e2e.hotserve_models import Registry, constant_model
from tests.e2e.hotserve_process import PATIENCE, Hotserve, running_hotserve
from tests.e2e.registry_page import chromium
from tests.e2e.watched_page import (
    Watched,
    assert_fits_and_reads_well,
    opened,
    shown_text,
    watching,
)
from tests.support.products import products
from tests.support.tables import LATIN_1, TABLES, TEXTS

PICTURES = os.environ.get("PICTURES")
NAME = "classificador-produtos" if PICTURES else "hotserve-page"
CATEGORIES = {"livro", "brinquedo", "maquiagem", "game"}
SEVERAL = "boneca de pano\nsenhor dos anéis, volume 2\n\nhalo para xbox\n"
TABLE = 'nome;descricao;sku\nBoneca;"de pano; feita à mão";1\nHalo;jogo para xbox;2\n;batom;3\n'
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@dataclass(frozen=True)
class Served:
    """A hotserve on Production of `NAME`.

    Attributes:
        with_probabilities: versions trained by the trainer, by classifier.
        without: a version that gives categories only.
    """

    hotserve: Hotserve
    registry: Registry
    with_probabilities: dict[str, str]
    without: str
    waiting_page: Watched

    def promote(self, version: str) -> None:
        """Move it to Production and wait until it answers."""
        self.registry.move(NAME, version, "Production")
        self.hotserve.wait_for_version(version)


def trained_version(registry: Registry, classifier: str) -> str:
    """A version as the trainer makes them, on the data set that ships; returns its number."""
    trained = train(load(), Parameters(classifier=classifier))
    mlflow.set_tracking_uri(registry.url)
    mlflow.set_experiment(NAME)
    with mlflow.start_run() as run:
        mlflow.log_metrics(trained.metrics())
        model_id = model_flavor.log(trained.pipeline, run.info.run_id)
    return str(mlflow.register_model(f"models:/{model_id}", NAME).version)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(
    browser: Browser, mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Begins without any version, with a page open on it that somebody has typed into."""
    registry = Registry(mlflow_server.url)
    home = tmp_path_factory.mktemp("hotserve-page")
    uri = f"models:/{NAME}/Production"
    options = ("--compare", "Staging")
    with running_hotserve(uri, home, mlflow_server.environment(), options=options) as hotserve:
        hotserve.get("/model")
        with opened(browser, hotserve.url) as early:
            notice = early.page.locator("#notice")
            expect(notice).to_contain_text("Ainda não há modelo")
            expect(notice).to_contain_text(f"no registered model '{NAME}'")
            early.type("boneca de pano")
            expect(early.page.locator("#one")).to_be_hidden()
            versions = {NAIVE_BAYES: trained_version(registry, NAIVE_BAYES)}
            expect(notice).to_contain_text("is in Production yet")
            registry.move(NAME, versions[NAIVE_BAYES], "Production")
            versions[LOGISTIC_REGRESSION] = trained_version(registry, LOGISTIC_REGRESSION)
            without = registry.register(NAME, constant_model("sempre esta"))
            hotserve.wait_for_version(versions[NAIVE_BAYES])
            yield Served(hotserve, registry, versions, without, early)


@pytest.fixture
def at_first(served: Served) -> Served:
    """With the first version in Production."""
    served.promote(served.with_probabilities[NAIVE_BAYES])
    return served


@pytest.fixture
def watched(browser: Browser, at_first: Served) -> Iterator[Watched]:
    with opened(browser, at_first.hotserve.url) as watched:
        yield watched


def test_a_page_that_waits_for_the_first_version_goes_on_by_itself(at_first: Served) -> None:
    early = at_first.waiting_page
    early.has_answered("brinquedo")
    expect(early.page.locator("#notice")).to_be_hidden()
    expect(early.page.locator("#served")).to_have_text("Versão 1")


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
    watched.type("halo para xbox")
    watched.has_answered("game")
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
        watched.type("senhor dos anéis")
    watched.has_answered("livro")
    assert failed.value == first.value
    assert first.value.failure == "net::ERR_ABORTED"


def test_it_says_which_version_answers(watched: Watched, at_first: Served) -> None:
    card = watched.page.get_by_role("complementary")
    expect(card.get_by_role("heading", level=2)).to_have_text("Versão 1")
    expect(card).to_contain_text("Production")
    expect(card).to_contain_text("No ar desde")
    expect(card).to_contain_text("Últimas trocas")
    trained = at_first.registry.client.get_run(at_first.hotserve.model()["run_id"])
    accuracy = 100 * trained.data.metrics["acuracia_holdout"]
    assert accuracy > 50
    expect(card.get_by_text("Acurácia")).to_have_count(1)
    expect(card).to_contain_text(f"{round(accuracy, 1):g}%".replace(".", ","))


def test_it_tells_what_model_tells(watched: Watched) -> None:
    # The real answer of /model with a bad day added to it.
    told = {
        "metrics": {"acuracia": 0.5, "acuracia_holdout": 0.98065, "f1_macro_holdout": 0.975},
        "lane": {"state": "open", "why": None},
        "wanted": {"version": "7", "state": "failed", "since": "2026-01-02T03:04:05Z"},
        "last_error": {"version": "7", "message": "the model's <file> is damaged"},
        "registry": {"reachable": False, "error": "connection refused"},
    }

    def add(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), **told})

    watched.page.route("**/model", add)
    card = watched.page.get_by_role("complementary")
    for line in (
        "98,1%",
        "97,5%",
        "em produtos que o modelo nunca viu",
        "aberta",
        "A versão 7 não iniciou; a atual continua. the model's <file> is damaged",
        "O MLflow não responde; a versão atual continua. connection refused",
    ):
        expect(card).to_contain_text(line)
    watched.type("boneca de pano")
    watched.has_answered("brinquedo")


def test_several_lines_give_a_table_and_a_file(watched: Watched, tmp_path: Path) -> None:
    page = watched.page
    watched.type(SEVERAL)
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(page.locator("#count")).to_have_text("3 produtos")
    assert [row.locator(".category").inner_text() for row in rows.all()] == [
        "brinquedo",
        "livro",
        "game",
    ]
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Baixar CSV").click()
    kept = tmp_path / "kept.csv"
    downloading.value.save_as(kept)
    with kept.open(encoding="utf-8-sig", newline="") as lines:
        table = list(csv.DictReader(lines, delimiter=";"))
    assert [row["texto"] for row in table] == [
        "boneca de pano",
        "senhor dos anéis, volume 2",
        "halo para xbox",
    ]
    assert [row["categoria"] for row in table] == ["brinquedo", "livro", "game"]
    assert {row["versao"] for row in table} == {"1"}
    assert table[0]["probabilidade"] == table[0]["brinquedo"]
    assert re.fullmatch(r"0,\d+", table[0]["brinquedo"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_a_csv_file_is_read_as_a_table(watched: Watched, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "loja.csv"
    file.write_text(TABLE, encoding=encoding)
    page = watched.page
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Abrir CSV…").click()
    chooser.value.set_files(file)
    expect(page.locator("#file-name")).to_have_text("loja.csv")
    expect(page.locator("#rows tr")).to_have_count(3)
    expect(page.locator("#read")).to_contain_text("nome, descricao")
    expect(page.locator("#rows .text").first).to_have_text("Boneca de pano; feita à mão")
    expect(page.locator("#rows .category")).to_have_text(["brinquedo", "game", "maquiagem"])
    page.get_by_role("button", name="Fechar").click()
    expect(page.locator("#many")).to_be_hidden()
    expect(page.get_by_role("textbox")).to_be_focused()


SAME_AS_THE_SERVER = [
    "boneca, de pano; azul",
    "um\r\n\r\ndois\rtrês\n",
    '"entre ""aspas"", um"\ndois "aspas" no meio',
    '"um", "dois"',
    "\ufefftexto\num, com vírgula",
    "nome;descricao\nboneca;de pano\n;só descrição\nhalo\n",
    'Nome,Descricao\nboneca,"de pano, azul\nem duas linhas"\n',
    "descricao;texto\nnão conta;conta",
    "nome;preco;descrição\nBoneca;9,90;de pano\n",
    "sku\tnome\n1\tHalo",
    'nome;descricao\n "a";"b"x"y\n',
    "  um  \n\tdois",
]
"""Bodies of text/csv; what a program sends and what a person pastes mean the same."""

READ = """async ([content, isFile]) => {
  const { read, readFile, Unreadable } = await import("/page/products.js");
  const { speak, words } = await import("/page/words.js");
  try {
    if (!isFile) return read(content).texts;
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    return read(await readFile(new Blob([bytes]))).texts;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return ["pt-BR", "en"].map((language) => {
      speak(language);
      return words("unreadable")[error.kind](error.line, error.detail);
    });
  }
}"""
"""The texts that the page makes of a text or a file, or what it says of it in two languages."""


def test_a_text_is_read_as_the_server_reads_it(watched: Watched) -> None:
    for sample in SAME_AS_THE_SERVER:
        expected = products(sample.encode()).texts()
        assert watched.page.evaluate(READ, [sample, False]) == expected


def test_a_column_of_the_model_is_found(watched: Watched) -> None:
    def texts(sample: str) -> object:
        return watched.page.evaluate(
            "async sample => (await import('/page/products.js')).read(sample, ['Review']).texts",
            sample,
        )

    for sample in (
        "id;review\n1;good, cheap\n",
        "REVIEW \ngood, cheap",
        "nome\tReview\nx\tgood, cheap",
    ):
        assert texts(sample) == products(sample.encode(), ["Review"]).texts() == ["good, cheap"]


def test_a_file_is_read_as_everybody_reads_it(watched: Watched) -> None:
    for table in TABLES:
        read = watched.page.evaluate(READ, [b64encode(table.body).decode(), True])
        if table is LATIN_1 or not table.complaint:
            assert tuple(read) == (table.texts or TEXTS), table
        elif "empty" not in table.complaint:
            _, english = read
            assert re.search(PAGE_COMPLAINTS.get(table.name, table.complaint), english, re.I), table
            assert table.line is None or str(table.line) in english, table


PAGE_COMPLAINTS = {
    "known names, and none a text": "none of the columns .* is a text",
    "line ends lost by curl -d": "is a header .* no text",
    "a header and no rows": "is a header .* no text",
    "latin-1 in a row": "in UTF-8, but for line",
    "report lines with empty fields": "header is in line 3",
    "too many fields": "more fields",
}
"""What the page says in other words than programs do."""


def test_a_file_that_can_not_be_read_is_said_in_one_line(watched: Watched, tmp_path: Path) -> None:
    file = tmp_path / "loja.csv"
    page = watched.page
    for content, message in (
        (TABLE + TABLE, "A linha 5 é o cabeçalho outra vez; abra uma tabela de cada vez."),
        ("boneca", ""),
    ):
        file.write_text(content, "utf-8")
        page.locator("#chooser").set_input_files(file)
        expect(page.locator("#notice")).to_have_text(message)
    watched.has_answered("brinquedo")


def test_a_file_of_results_runs_nothing_in_a_spreadsheet(watched: Watched) -> None:
    formula = '=HYPERLINK("http://example.com")'
    watched.type(f"{formula}\n-5\nboneca")
    expect(watched.page.locator("#rows .text")).to_have_text([formula, "-5", "boneca"])
    with watched.page.expect_download() as downloading:
        watched.page.get_by_role("button", name="Baixar CSV").click()
    with Path(downloading.value.path()).open(encoding="utf-8-sig", newline="") as lines:
        table = list(csv.DictReader(lines, delimiter=";"))
    assert [row["texto"] for row in table] == [f"'{formula}", "-5", "boneca"]


def test_many_lines_are_asked_about_in_parts(watched: Watched) -> None:
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    watched.type("\n".join(f"boneca de pano n{number}" for number in range(600)))
    expect(watched.page.locator("#rows tr")).to_have_count(600)
    assert sum(url.endswith("/invocations") for url in asked) > 1
    expect(watched.page.locator("#totals")).to_have_text("600 brinquedo")


def test_both_languages(browser: Browser, at_first: Served) -> None:
    with opened(browser, at_first.hotserve.url, locale="en-GB") as watched:
        page = watched.page
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.get_by_role("heading", level=1)).to_have_text("Which category is this product?")
        watched.type("boneca de pano")
        watched.has_answered("brinquedo")
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
        request.get_by_role("textbox").fill("senhor dos anéis\nd'água")
        request.get_by_role("button", name="Copiar como curl").click()
        expect(request.get_by_role("button", name="Copiado")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        told = subprocess.run(
            ["bash", "-c", copied], capture_output=True, check=True, timeout=PATIENCE, cwd=tmp_path
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


def test_each_word_stands_with_its_weight(watched: Watched, at_first: Served) -> None:
    page = watched.page
    watched.type("senhor dos aneis nuncavista")
    watched.has_answered("livro")
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


def test_production_and_staging_stand_side_by_side(watched: Watched, at_first: Served) -> None:
    registry, page = at_first.registry, watched.page
    candidate = at_first.with_probabilities[LOGISTIC_REGRESSION]
    watched.type("boneca de pano")
    watched.has_answered("brinquedo")
    registry.move(NAME, candidate, "Staging")
    beside = page.get_by_role("region", name=f"Staging · Versão {candidate}")
    expect(beside.locator(".category")).to_have_text("brinquedo")
    expect(beside.locator("li").first).to_have_text(re.compile(r"^boneca\+\d"))
    answering = page.get_by_role("region", name="Production · Versão 1")
    expect(answering.locator("li").first).to_have_text(re.compile(r"^boneca\+\d"))
    # Its weights are its own.
    assert beside.locator("li").first.inner_text() != answering.locator("li").first.inner_text()
    assert_fits_and_reads_well(page)
    assert len(at_first.hotserve.server_processes()) == 1
    watched.type("senhor dos anéis")
    expect(beside.locator(".category")).to_have_text("livro")
    registry.move(NAME, candidate, "None")
    expect(beside).to_be_hidden()
    expect(page.locator("#why li").first).to_be_visible()


LABELLED = """nome;categoria
boneca de pano;brinquedo
halo para xbox;brinquedo
senhor dos anéis;livro
batom;
"""


def test_a_table_with_categories_gets_hits_misses_and_a_matrix(watched: Watched) -> None:
    page = watched.page
    watched.type(LABELLED)
    told = page.locator("#evaluation")
    expect(told).to_contain_text("2 de 3 certos (66,7%) · 1 erro")
    matrix = told.get_by_role("table")
    expect(matrix.get_by_role("columnheader")).to_have_text(["brinquedo", "game", "livro"])
    expect(matrix.locator("tbody tr")).to_have_text(
        [
            re.compile(r"brinquedo\s*1\s*1\s*0"),
            re.compile(r"game\s*0\s*0\s*0"),
            re.compile(r"livro\s*0\s*0\s*1"),
        ]
    )
    expect(matrix.locator(".miss")).to_have_text("1")
    expect(page.locator("#rows .miss")).to_have_text("na tabela: brinquedo")
    assert_fits_and_reads_well(page)
    watched.type(TABLE)
    expect(page.locator("#rows tr")).to_have_count(3)
    expect(told).to_be_hidden()


def test_a_screen_reader_is_told_the_answer(watched: Watched) -> None:
    assert watched.page.get_by_role("heading", level=1).count() == 1
    assert watched.page.locator("#category[aria-live=polite]").count() == 1


def test_a_version_on_its_way_is_told_with_step_and_seconds(watched: Watched) -> None:
    # The real answer of /model, at a moment that is too short to look at.
    on_its_way = {"version": "7", "state": "starting", "step": "start", "seconds": 4}

    def add(route: Route) -> None:
        answer = route.fetch()
        switches = [{"at": "2026-01-02T03:04:05Z", "from": "1", "to": "2", "seconds": 8.1}]
        told = {**answer.json(), "wanted": on_its_way, "switches": switches}
        route.fulfill(response=answer, json=told)

    watched.page.route("**/model", add)
    remark = watched.page.locator(".remark")
    expect(remark).to_have_text(
        "A versão 7 está a caminho, iniciando o processo, há 4 s. A última troca levou 8,1 s."
    )
    on_its_way |= {"step": "compare", "seconds": 6}
    expect(remark).to_contain_text("comparando as respostas, há 6 s")
    watched.page.get_by_role("button", name="English").click()
    expect(remark).to_have_text(
        "Version 7 is on its way, comparing its answers, for 6 s. The last switch took 8.1 s."
    )


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


def test_it_works_below_a_path(browser: Browser, at_first: Served) -> None:
    def strip(route: Route) -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace("/loja/modelo/", "/")))

    host = urlsplit(at_first.hotserve.url).netloc
    with watching(browser) as watched:
        watched.page.route("**/*", lambda route: route.abort())
        watched.page.route("**/loja/modelo/**", strip)
        watched.page.goto(f"http://{host}/loja/modelo/")
        watched.type("boneca de pano")
        watched.has_answered("brinquedo")
        expect(watched.page.locator("#served")).to_have_text("Versão 1")


def test_nothing_moves_for_those_who_asked_for_that(browser: Browser, at_first: Served) -> None:
    with opened(browser, at_first.hotserve.url, reduced_motion="reduce") as watched:
        watched.type("boneca de pano")
        watched.has_answered("brinquedo")
        bar = watched.page.locator("#bars .fill").first
        assert bar.evaluate("e => getComputedStyle(e).transitionDuration") == "0s"


def test_a_server_that_is_away_is_said_and_waited_for(watched: Watched) -> None:
    page = watched.page
    watched.type("boneca de pano")
    watched.has_answered("brinquedo")
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
    watched.type("halo")
    watched.has_answered("game")


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


def test_a_promotion_shows_without_a_reload(watched: Watched, at_first: Served) -> None:
    page = watched.page
    watched.type("boneca de pano")
    expect(page.locator("#answered")).to_contain_text("versão 1")
    at_first.promote(at_first.with_probabilities[LOGISTIC_REGRESSION])
    expect(page.locator("#served")).to_have_text("Versão 2")
    expect(page.locator("#answered")).to_contain_text("versão 2")
    expect(page.locator(".switches li").first).to_contain_text("versão 1 → 2")
    watched.has_answered("brinquedo")


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


def test_a_model_without_probabilities_gives_the_category(
    watched: Watched, at_first: Served
) -> None:
    watched.type("boneca de pano")
    watched.has_answered("brinquedo")
    at_first.promote(at_first.without)
    watched.has_answered("sempre esta")
    expect(watched.page.locator("#answered")).to_contain_text("sem probabilidades")
    expect(watched.page.locator("#bars")).to_be_hidden()
