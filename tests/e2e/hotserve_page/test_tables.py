"""Tables are read, shown with their answers, and given back as a file."""

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.hotserve_page.served import LABELLED, SEVERAL, TABLE
from tests.e2e.watched_page import Watched, assert_fits_and_reads_well


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
