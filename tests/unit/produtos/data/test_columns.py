import pytest

from produtos.data.columns import (
    KNOWN_COLUMNS,
    NO_SEPARATOR,
    find_header,
    index_of,
    named_twice,
    shown,
)


@pytest.mark.parametrize("column", KNOWN_COLUMNS)
def test_one_known_column_makes_a_header(column: str) -> None:
    assert find_header(f"id;{column};x\r\n") == (";", ["id", column, "x"])
    assert find_header(column.upper()) == (NO_SEPARATOR, [column.upper()])


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_the_separator_is_what_cuts_the_header_into_most_columns(separator: str) -> None:
    names = ["id", "nome", "preço, em reais; sem frete", "descricao"]
    line = separator.join(f'"{name}"' for name in names)
    assert find_header(line) == (separator, names)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "boneca de pano",
        "batom; longa duração",
        "nomes;descricoes",
        '"nome;descricao;categoria"',
        "o nome da rosa",
    ],
)
def test_other_lines_are_no_header(line: str) -> None:
    assert find_header(line) is None


def test_a_column_that_is_asked_for_makes_a_header_too() -> None:
    assert find_header("id;Résumé") is None
    assert find_header("id;Résumé", also=["resume"]) == (";", ["id", "Résumé"])


def test_a_column_is_found_by_its_folded_name() -> None:
    names = ["id", " Descrição", "nome"]
    assert index_of("descricao", names) == 1
    assert index_of("NOME", names) == 2
    assert index_of("texto", names) is None


def test_a_name_that_two_columns_have_is_seen_and_an_empty_one_is_none() -> None:
    assert named_twice(["nome", "id", "Nome "]) == "Nome"
    assert named_twice(["nome", "", " ", "id"]) is None


def test_long_headers_and_names_are_cut_in_messages() -> None:
    assert shown(["nome ", "", "x" * 100]) == f"nome, (no name), {'x' * 60}"
    assert shown([str(number) for number in range(11)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"
