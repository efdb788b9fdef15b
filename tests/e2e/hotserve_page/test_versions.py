"""Which version answers, which one comes, and the two side by side."""

import re

from playwright.sync_api import Route, expect

from produtos.parameters import LOGISTIC_REGRESSION
from tests.e2e.hotserve_page.served import NAME, Served
from tests.e2e.watched_page import Watched, assert_fits_and_reads_well


def test_a_page_that_waits_for_the_first_version_goes_on_by_itself(at_first: Served) -> None:
    early = at_first.waiting_page
    early.has_answered("brinquedo")
    expect(early.page.locator("#notice")).to_be_hidden()
    expect(early.page.locator("#served")).to_have_text("Versão 1")


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
    watched.is_answered("boneca de pano", "brinquedo")


def test_examples_are_of_categories_that_the_model_knows(watched: Watched) -> None:
    examples = watched.page.get_by_role("group", name="Experimente")
    expect(watched.page.locator("#served")).to_have_text("Versão 1")
    expect(examples).to_be_visible()

    def add(route: Route) -> None:
        answer = route.fetch()
        others = {"expected": {"products": {"jardim": 0.5, "padaria": 0.5}}}
        route.fulfill(response=answer, json={**answer.json(), **others})

    watched.page.route("**/model", add)
    expect(examples).to_be_hidden()


def test_production_and_staging_stand_side_by_side(watched: Watched, at_first: Served) -> None:
    registry, page = at_first.registry, watched.page
    candidate = at_first.with_probabilities[LOGISTIC_REGRESSION]
    watched.is_answered("boneca de pano", "brinquedo")
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


def test_a_promotion_shows_without_a_reload(watched: Watched, at_first: Served) -> None:
    page = watched.page
    watched.type("boneca de pano")
    expect(page.locator("#answered")).to_contain_text("versão 1")
    at_first.promote(at_first.with_probabilities[LOGISTIC_REGRESSION])
    expect(page.locator("#served")).to_have_text("Versão 2")
    expect(page.locator("#answered")).to_contain_text("versão 2")
    expect(page.locator(".switches li").first).to_contain_text("versão 1 → 2")
    watched.has_answered("brinquedo")
