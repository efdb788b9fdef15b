"""`-m` for every registered model that matches a pattern."""

import pytest

from hotserve.config.errors import UsageError
from hotserve.config.model_uri import parse


@pytest.mark.parametrize(
    ("uri", "kind", "of_one"),
    [
        ("models:/*/production", "stage", "models:/ana/Production"),
        ("models:/*@champion", "alias", "models:/ana@champion"),
        ("models:/a*/latest", "latest", "models:/ana/latest"),
    ],
)
def test_a_pattern_means_what_each_of_its_models_would_mean(
    uri: str, kind: str, of_one: str
) -> None:
    pattern = parse(uri)
    assert (pattern.is_pattern, pattern.kind, pattern.shown) == (True, kind, uri)
    one = pattern.of("ana")
    assert one == parse(of_one)
    assert not one.is_pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*", ["a", "loja x", "ção\nx"], []),
        ("loja-*", ["loja-", "loja-a*b"], ["loja", "a-loja-b", "Loja-a"]),
        ("*-v*.2", ["-v.2", "a-v1.2"], ["a-v1x2", "a-v1.2 "]),
        ("[ab]*", ["[ab]c"], ["ac"]),
    ],
)
def test_a_star_is_any_text_and_nothing_else_is_special(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    reference = parse(f"models:/{pattern}/latest")
    for name in matching:
        assert reference.matches(name), name
    for name in others:
        assert not reference.matches(name), name


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("models:/loja-*/3", "'loja-\\*' means several models, and no version number is right"),
        ("models:/m-*", "names no stage, alias or version"),
        ("models:/*", "names no stage, alias or version"),
        ("models:/*/Prod", "'Prod' is no stage"),
    ],
)
def test_what_can_not_be_meant(uri: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse(uri)
