"""Names of columns, and which of them hold the text."""

import pytest

from hotserve.inputs.columns import ColumnsError, known, text_columns


@pytest.mark.parametrize(
    ("names", "model_columns", "expected"),
    [
        (["id", "Nome", "Descrição"], (), {"nome": 1, "descricao": 2}),
        (["descricao", "nome"], (), {"nome": 1, "descricao": 0}),
        (["descricao", "texto", "informacao"], (), {"texto": 1}),
        (["nome", "informacao"], (), {"informacao": 1}),
        (["nome", "categoria"], (), {"nome": 0}),
        (["preço", "preço", "nome"], (), {"nome": 2}),
        (["id", " REVIEW"], ("review",), {"review": 1}),
        (["review", "texto"], ("review",), {"review": 0}),
        (["nome", "descricao"], ("Descrição", "Nome"), {"Nome": 0, "Descrição": 1}),
        (["nome", "preço"], ("nome", "descricao"), {"nome": 0}),
        (["nome", "descricao"], ("review",), {"nome": 0, "descricao": 1}),
        (["nome", "descricao"], ("texto", "nome"), {"nome": 0, "descricao": 1}),
        (["nome", "Texto"], ("texto", "nome"), {"texto": 1, "nome": 0}),
        (["nome", "texto"], ("Texto", "nome"), {"Texto": 1, "nome": 0}),
    ],
)
def test_the_columns_of_the_text(
    names: list[str], model_columns: tuple[str, ...], expected: dict[str, int]
) -> None:
    found = text_columns(names, model_columns)
    assert list(found.items()) == list(expected.items())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["categoria", "preço"], "none of the columns categoria, preço .* texto, informacao"),
        (["nome", "NOME "], "nome is there twice: nome, NOME"),
        (["texto", "nome", "Texto"], "texto is there twice"),
    ],
)
def test_columns_that_can_not_be_classified(names: list[str], message: str) -> None:
    with pytest.raises(ColumnsError, match=message):
        text_columns(names, ())


def test_what_is_known() -> None:
    assert known(["Nome", "preço", "Categoria"], ()) == 2
    assert known(["Review", "id"], ["review"]) == 1
    assert known(["review", "id"], ()) == 0
