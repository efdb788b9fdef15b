"""Which products a run trains on, which it tests on, and which no run ever trains on.

Only the split itself imports scikit-learn, so that a check can do without.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from produtos.data.columns import short, shown
from produtos.data.dataset import Dataset, Product
from produtos.errors import BadInput
from produtos.language import tr
from produtos.text import has_word, normal_form

HOLDOUT_SHARE = 0.15
"""About this part of all products is the hold-out."""

RANDOM_STATE = 10
"""The chapter's seed for the test split."""

TOO_FEW = 5
"""With fewer products of a category, its figures are chance."""

TRAIN, TEST, HOLDOUT = "train", "test", "holdout"
"""The parts of a table."""

_OF_NAMES = {
    True: (tr("a text"), tr("texts"), tr("more rows")),
    False: (
        tr("a descricao, and include_names is não"),
        tr("descriptions (include_names is não)"),
        tr("descriptions, or train one run with include_names=sim"),
    ),
}
"""By `include_names`, what a product has to have, what was searched for words, what to add."""


@dataclass(frozen=True)
class Holdout:
    """The products that no run trains on.

    Attributes:
        products: at least one.
        rest: all others of the data set.
        digest: figures on hold-outs of the same digest can be compared; 32 hex digits.
    """

    products: list[Product]
    rest: list[Product]
    digest: str


@dataclass(frozen=True)
class Pool:
    """What is left beside the hold-out for a run to train and to be tested on.

    Attributes:
        products: no two with the same text, none with a text of the hold-out.
        learnable: how many products of each category have a word in their text.
        left_out: products that the run can neither train nor be tested on, counted by reason.
    """

    products: list[Product]
    learnable: Counter[str]
    left_out: dict[str, int]


@dataclass(frozen=True)
class Split:
    """The products of one run.

    Attributes:
        train: trained on.
        test: the chapter's test split, for `acuracia`.
        holdout: the same for every run on the same data set, for `acuracia_holdout`.
        left_out: as in `Pool`.
    """

    train: list[Product]
    test: list[Product]
    holdout: Holdout
    left_out: dict[str, int]


def in_holdout(product: Product) -> bool:
    """Whether a product belongs to the hold-out.

    Decided by a hash of the product alone, so that the answer stays the same when other rows are
    added, taken away or moved, and for every parameter of a run.
    """
    return _drawn(product, b"holdout") < HOLDOUT_SHARE


def part_of(product: Product, test_size: float) -> str:
    """Which part of a table a product is in, where products come one by one: decided likewise."""
    if in_holdout(product):
        return HOLDOUT
    return TEST if _drawn(product, b"test") < test_size else TRAIN


def _drawn(product: Product, purpose: bytes) -> float:
    digest = hashlib.blake2b(product.key.encode(), digest_size=8, person=purpose).digest()
    return int.from_bytes(digest, "big") / 2**64


@lru_cache(maxsize=1)
def holdout_of(dataset: Dataset) -> Holdout:
    """Divide a data set, once for all runs on it.

    Raises:
        BadInput: there are so few products that none of them was chosen.
    """
    products = [product for product in dataset.products if in_holdout(product)]
    if not products:
        raise no_holdout(dataset.summary.where, len(dataset.products))
    rest = [product for product in dataset.products if not in_holdout(product)]
    return Holdout(products, rest, f"{digest_of(products):032x}")


def digest_of(products: Iterable[Product], others: int = 0) -> int:
    """A number of 128 bits that tells products from others, in whatever order they come.

    Args:
        products: no two of them the same.
        others: the number of those before, if they come in parts.
    """
    for product in products:
        line = f"{product.key}\0{product.category}".encode()
        others += int.from_bytes(hashlib.blake2b(line, digest_size=16).digest(), "big")
    return others % 2**128


def no_holdout(where: str, products: int) -> BadInput:
    """What is said where no product is in the hold-out."""
    return BadInput(
        "dataset {where}: {products} products are too few to set some aside for the "
        "hold-out (about {share:.0%} of all); add more rows",
        where=where,
        products=products,
        share=HOLDOUT_SHARE,
    )


def too_few(where: str, test_size: float, products: int, categories: int) -> BadInput:
    """What is said where a category has no product to learn from, or none is left to test on."""
    return BadInput(
        "dataset {where}: with test_size {test_size} the {products} products beside the hold-out "
        "leave too few to train on all {learnable} categories; add more rows, or change test_size",
        where=where,
        test_size=test_size,
        products=products,
        learnable=categories,
    )


@lru_cache(maxsize=2)
def pool_of(dataset: Dataset, *, include_names: bool) -> Pool:
    """The products beside the hold-out that have a text of their own.

    Without names, several products may share one description and some have none. No text is
    both learnt from and asked for: of those with the same text one is kept, and none whose text
    is also in the hold-out. Kept, since a sweep asks ten times for the two that there are.

    Args:
        dataset: where the products come from.
        include_names: whether the model's text holds the product's name.

    Raises:
        BadInput: fewer than two categories are left, or one without a word to learn.
    """
    holdout = holdout_of(dataset)
    seen = {normal_form(product.text(include_name=include_names)) for product in holdout.products}
    kept: dict[str, Product] = {}
    left_out = {"no_text": 0, "repeated": 0, "in_holdout": 0}
    for product in holdout.rest:
        text = normal_form(product.text(include_name=include_names))
        if not text:
            left_out["no_text"] += 1
        elif text in seen:
            left_out["in_holdout"] += 1
        elif kept.setdefault(text, product) is not product:
            left_out["repeated"] += 1
    pool = list(kept.values())
    what, texts, add = _OF_NAMES[include_names]
    if len({product.category for product in pool}) < 2:
        raise BadInput(
            "dataset {where}: beside the hold-out, {pool} different products have "
            "{what}; two categories of them are needed to train; add {add}",
            where=dataset.summary.where,
            pool=len(pool),
            what=what,
            add=add,
        )
    learnable = _learnable(pool, include_names=include_names)
    if hopeless := sorted({product.category for product in pool} - learnable.keys()):
        raise BadInput(
            "dataset {where}: no word to learn in the {texts} of {hopeless}: signs, emoji and "
            "words like de and para tell nothing; add products with words of their own",
            where=dataset.summary.where,
            texts=texts,
            hopeless=shown(hopeless[:5]),
        )
    return Pool(pool, learnable, left_out)


def _learnable(products: list[Product], *, include_names: bool) -> Counter[str]:
    texts = ((each.category, each.text(include_name=include_names)) for each in products)
    return Counter(category for category, text in texts if has_word(text))


def split(dataset: Dataset, *, test_size: float, include_names: bool) -> Split:
    """Set the hold-out aside, then split the rest as the chapter does.

    Args:
        dataset: where the products come from.
        test_size: the part of the rest that is tested on, between 0 and 1.
        include_names: whether the model's text holds the product's name.

    Raises:
        BadInput: too little is left to train or to test on.
    """
    pool = pool_of(dataset, include_names=include_names)
    train, test = _train_and_test(pool.products, test_size)
    if not test or len(_learnable(train, include_names=include_names)) < len(pool.learnable):
        raise too_few(dataset.summary.where, test_size, len(pool.products), len(pool.learnable))
    return Split(train, test, holdout_of(dataset), pool.left_out)


def _train_and_test(pool: list[Product], test_size: float) -> tuple[list[Product], list[Product]]:
    """Two lists, both empty where scikit-learn finds too few products for them."""
    from sklearn.model_selection import train_test_split

    categories = [product.category for product in pool]
    counts = Counter(categories)
    for_test = len(pool) * test_size
    fits = len(counts) <= for_test <= len(pool) - len(counts) - 1
    stratify = categories if fits and min(counts.values()) > 1 else None
    try:
        train, test = train_test_split(
            pool, test_size=test_size, random_state=RANDOM_STATE, stratify=stratify
        )
    except ValueError:
        return [], []
    return train, test


def gaps(name: str, counts: Mapping[str, float]) -> str:
    """What figures on some products cannot tell; empty where there are enough of each category.

    Args:
        name: what the products are called, such as `hold-out`.
        counts: how many of them each category has, with every category that there is.
    """
    few = [
        tr("{counts} of {each}").format(
            counts=f"{count:.0f}" if count else tr("none"), each=short(each)
        )
        for each, count in counts.items()
        if count < TOO_FEW
    ]
    if not few:
        return ""
    more = tr(" and few or none of {few} more").format(few=len(few) - 5) if len(few) > 5 else ""
    return tr("the {name} of {products} products has {few}{more}").format(
        name=name, products=f"{sum(counts.values()):.0f}", few=", ".join(few[:5]), more=more
    )


def gaps_of(holdout: Mapping[str, float], test: Mapping[str, float]) -> str:
    """What the figures of a run cannot tell, for the console and as a tag; empty where they can."""
    return "; ".join(filter(None, (gaps("hold-out", holdout), gaps(tr("test split"), test))))
