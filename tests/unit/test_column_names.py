"""The names of columns and which are alike: once in the trainer, once in the API, the same."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from hotserve.inputs import columns as of_the_api
from hotserve.worker.static_files import StaticFiles
from produtos.product_model import columns as of_the_trainer

FOLDS = (of_the_trainer.fold, of_the_api.fold)


def test_trainer_and_api_know_the_same_columns() -> None:
    assert of_the_trainer.WHOLE_TEXT == of_the_api.WHOLE_TEXT
    assert of_the_trainer.TEXT_PARTS == of_the_api.TEXT_PARTS
    assert of_the_trainer.CATEGORY == of_the_api.CATEGORY


@pytest.mark.parametrize(
    ("names", "model_columns", "in_the_trainer", "in_the_api"),
    [
        (("nome", "resumo"), (), ["nome", "resumo"], {"nome": 0, "resumo": 1}),
        (("resumo", "descricao"), (), ["descricao"], {"descricao": 1}),
        (("resumo",), ("nome", "descricao"), ["resumo"], {"descricao": 0}),
        (("resumo", "titulo"), ("Nome", "Resumo"), ["titulo", "resumo"], {"Nome": 1, "Resumo": 0}),
        (("descricao",), ("descricao", "resumo"), ["descricao"], {"descricao": 0}),
        (("resumo", "texto"), ("texto",), ["texto"], {"texto": 1}),
    ],
)
def test_a_part_of_a_text_may_have_other_names(
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    model_columns: tuple[str, ...],
    in_the_trainer: list[str],
    in_the_api: dict[str, int],
) -> None:
    parts = (("nome", "titulo"), ("descricao", "resumo"))
    monkeypatch.setattr(of_the_trainer, "TEXT_PARTS", parts)
    monkeypatch.setattr(of_the_api, "TEXT_PARTS", parts)
    monkeypatch.setattr(of_the_api, "TEXT_COLUMNS", (*of_the_api.WHOLE_TEXT, *parts[0], *parts[1]))
    assert of_the_trainer.text_columns(names) == in_the_trainer
    assert of_the_api.text_columns(names, model_columns) == in_the_api


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize(
    "name",
    [
        "descricao",
        "Descrição",
        " DESCRIÇÃO\t",
        "descric\u0327a\u0303o",
        "\ufeffdescricao",
        "\ufeff\ufeffdescricao\u200b",
        "\u00a0descricao\u2003\t",
        "\u202fdescricao",
        "descri\u200bcao",
        "descri\u00a0cao",
        "des\u00adcri\u200dção",
        "descri\u202fc\u00a0ao",
        "descri\x00cao",
        "ｄｅｓｃｒｉｃａｏ",
        "📦 descrição",
    ],
)
def test_names_that_look_the_same_are_the_same(fold: Callable[[str], str], name: str) -> None:
    assert fold(name) == "descricao"


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize(
    "name",
    ["descricao2", "descricao 2", "des cricao", "descricoes", "Ⓓescricao", "", "descrição longa"],
)
def test_names_that_look_different_are_not(fold: Callable[[str], str], name: str) -> None:
    assert fold(name) != "descricao"


def test_trainer_and_api_see_the_same_in_every_character() -> None:
    assigned = map(chr, (*range(0xD800), *range(0xE000, 0x32000), *range(0xE0000, 0xE0200)))
    names = [f" N{character}me{character}" for character in assigned]
    assert list(map(of_the_trainer.fold, names)) == list(map(of_the_api.fold, names))


@pytest.mark.anyio
async def test_the_page_knows_the_columns_of_the_api() -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("the request has no body")

    scope: dict[str, Any] = {"path": "/page/columns.js", "headers": []}
    content = (await StaticFiles().answer(scope, receive)).body.decode()
    names = dict(re.findall(r"^export const (\w+) = (.+);$", content, re.MULTILINE))
    assert {name: json.loads(value) for name, value in names.items()} == {
        "TEXT_COLUMNS": [[[*of_the_api.WHOLE_TEXT]], [[*part] for part in of_the_api.TEXT_PARTS]],
        "CATEGORY": of_the_api.CATEGORY,
    }
