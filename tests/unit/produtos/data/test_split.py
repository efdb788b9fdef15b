from collections import Counter

import pytest

from produtos.data.dataset import Dataset, Product
from produtos.data.split import (
    HOLDOUT_SHARE,
    TOO_FEW,
    gaps,
    gaps_of,
    holdout_of,
    in_holdout,
    split,
)
from produtos.data.summary import Summary
from produtos.errors import BadInput
from produtos.text import normal_form, product_text

CATEGORIES = ("game", "livro", "brinquedo", "maquiagem")


def product(name: str, description: str = "", category: str = "livro") -> Product:
    return Product(name, description, category, normal_form(product_text(name, description)))


def dataset(products: list[Product]) -> Dataset:
    return Dataset(tuple(products), b"", Summary("produtos.csv"))


def many(count: int) -> list[Product]:
    """Products of four categories; every third has no description, pairs share theirs."""
    return [
        product(
            f"produto {number}",
            "" if number % 3 == 0 else f"descrição {number // 2}",
            CATEGORIES[number % 4],
        )
        for number in range(count)
    ]


def keys(products: list[Product]) -> set[str]:
    return {each.key for each in products}


def test_the_holdout_is_about_its_share_and_has_every_category() -> None:
    holdout = holdout_of(dataset(many(4000))).products
    assert HOLDOUT_SHARE - 0.02 < len(holdout) / 4000 < HOLDOUT_SHARE + 0.02
    assert set(Counter(each.category for each in holdout)) == set(CATEGORIES)


def test_the_holdout_is_the_same_for_every_run() -> None:
    data = dataset(many(400))
    parts = [
        split(data, test_size=test_size, include_names=include_names)
        for test_size in (0.1, 0.5)
        for include_names in (True, False)
    ]
    assert all(keys(part.holdout.products) == keys(parts[0].holdout.products) for part in parts)
    assert len({part.holdout.digest for part in parts}) == 1


def test_the_holdout_stays_when_rows_are_added_moved_or_given_another_category() -> None:
    few, more = many(300), many(400)
    assert keys(holdout_of(dataset(few)).products) <= keys(holdout_of(dataset(more)).products)
    assert keys(holdout_of(dataset(few[::-1])).products) == keys(holdout_of(dataset(few)).products)
    assert in_holdout(product("Halo", category="game")) == in_holdout(product(" HALO "))


def test_the_digest_tells_apart_what_cannot_be_compared() -> None:
    def digest(products: list[Product]) -> str:
        return holdout_of(dataset(products)).digest

    data = holdout_of(dataset(many(300)))
    holdout = data.products
    assert digest(holdout) == data.digest
    assert digest(holdout[::-1]) == digest(holdout)
    assert digest(holdout[1:]) != digest(holdout)
    first = holdout[0]
    renamed = Product(first.name, first.description, "outra", first.key)
    assert digest([renamed, *holdout[1:]]) != digest(holdout)


@pytest.mark.parametrize("include_names", [True, False])
def test_no_text_is_both_learnt_from_and_asked_for(include_names: bool) -> None:
    data = dataset(many(400))
    parts = split(data, test_size=0.3, include_names=include_names)

    def texts(products: list[Product]) -> list[str]:
        return [normal_form(each.text(include_name=include_names)) for each in products]

    learnt = texts(parts.train)
    assert len(set(learnt)) == len(learnt)
    assert "" not in learnt
    assert not set(learnt) & set(texts(parts.test))
    assert not set(learnt) & set(texts(parts.holdout.products))


def test_every_product_is_accounted_for() -> None:
    data = dataset(many(400))
    parts = split(data, test_size=0.3, include_names=False)
    assert all(count > 0 for count in parts.left_out.values())
    assert len(parts.train) + len(parts.test) + len(parts.holdout.products) + sum(
        parts.left_out.values()
    ) == len(data.products)


def test_a_product_without_a_description_counts_in_the_holdout_of_a_run_without_names() -> None:
    holdout = split(dataset(many(400)), test_size=0.2, include_names=False).holdout
    assert any(not each.text(include_name=False) for each in holdout.products)


def test_the_test_split_has_its_size_and_the_categories_in_proportion() -> None:
    parts = split(dataset(many(2000)), test_size=0.25, include_names=True)
    rest = len(parts.train) + len(parts.test)
    assert abs(len(parts.test) - 0.25 * rest) <= 1
    in_all = Counter(each.category for each in parts.train + parts.test)
    in_test = Counter(each.category for each in parts.test)
    assert all(abs(in_test[name] - 0.25 * in_all[name]) <= 1 for name in CATEGORIES)


def test_too_few_products_are_told_in_one_line() -> None:
    outside = [each for each in many(60) if not in_holdout(each)]
    with pytest.raises(BadInput, match="too few to set some aside"):
        holdout_of(dataset(outside[:8]))
    with pytest.raises(BadInput, match="too few to train on all 4 categories"):
        split(dataset(many(60)), test_size=0.999, include_names=True)
    nameless = [Product(each.name, "", each.category, each.key) for each in many(60)]
    with pytest.raises(BadInput, match="include_names is não"):
        split(dataset(nameless), test_size=0.2, include_names=False)


def test_figures_on_enough_products_of_each_category_leave_nothing_unknown() -> None:
    enough = {"livro": TOO_FEW, "game": TOO_FEW}
    assert gaps("hold-out", enough) == ""
    assert gaps_of(enough, enough) == ""


def test_categories_without_products_are_named_with_how_many_there_are() -> None:
    few = {"game": 1, "livro": 9, "raro": 0}
    assert gaps("hold-out", few) == "the hold-out of 10 products has 1 of game, none of raro"


def test_of_many_such_categories_five_are_named() -> None:
    assert (
        gaps("hold-out", dict.fromkeys("abcdefg", 0))
        == "the hold-out of 0 products has none of a, none of b, none of c, none of d, none of e"
        " and few or none of 2 more"
    )


def test_the_test_split_is_looked_at_as_well() -> None:
    enough, few = {"livro": 9, "game": 9}, {"livro": 9, "game": 4}
    said = "the test split of 13 products has 4 of game"
    assert gaps_of(enough, few) == said
    both = gaps_of(few, few)
    assert both == f"the hold-out of 13 products has 4 of game; {said}"
