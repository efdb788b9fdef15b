"""From a product to a listing: the name and the description that a seller writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from dataset_source import dirt
from dataset_source.catalogue import TEXT, Product, endless, read_products
from dataset_source.phrases import Grammar, read_sections

CATEGORIES = ("livro", "brinquedo", "maquiagem", "game")
WITHOUT_DESCRIPTION = 0.26


@dataclass(frozen=True)
class Listing:
    """A row of the table."""

    name: str
    description: str
    category: str


def write_listings(category: str, count: int, seed: str) -> Iterator[Listing]:
    """Yield `count` listings of a category, all different to a reader who ignores spelling."""
    grammar = Grammar(
        read_sections(TEXT / "frases_loja.txt", TEXT / f"frases_{category}.txt"),
    )
    products = endless(read_products(category), Random(f"{seed}/{category}"))
    seen: set[str] = set()
    attempt = 0
    while len(seen) < count:
        # A seed of its own for each listing: a new phrase changes the rows that use it, not all.
        rng = Random(f"{seed}/{category}/{attempt}")
        attempt += 1
        listing = _write(category, next(products), grammar, rng)
        key = " ".join(dirt.without_accents(f"{listing.name} {listing.description}").split())
        if key.lower() not in seen:
            seen.add(key.lower())
            yield listing


def _write(category: str, product: Product, grammar: Grammar, rng: Random) -> Listing:
    maker = rng.choice(product.makers)
    slots = {
        "produto": product.name,
        "marca": maker,
        "editora": product.publisher,
        "fabricante": product.publisher or maker,
        "tipo": product.kind,
        "sobre": product.about,
    }
    name = grammar.say("nome", slots, rng)
    description = ""
    if rng.random() >= WITHOUT_DESCRIPTION:
        description = grammar.say("descricao", slots, rng)
    return Listing(
        _dirty_name(name, category, rng), _dirty_description(description, category, rng), category
    )


def _dirty_name(name: str, category: str, rng: Random) -> str:
    name = dirt.change_case(name, rng)
    name = dirt.glue_words(name, rng, 0.02)
    if not _keeps_accents(name, category):
        name = dirt.forget_accents(name, rng, always=0.14, a_word=0.04)
    return dirt.stray_spaces(name, rng, 0.4)


def _dirty_description(description: str, category: str, rng: Random) -> str:
    if not description:
        return ""
    description = dirt.glue_marketing(description, rng)
    if not _keeps_accents(description, category):
        description = dirt.forget_accents(description, rng, always=0.08, a_word=0.01)
    return dirt.stray_spaces(description, rng, 0.25)


def _keeps_accents(text: str, category: str) -> bool:
    # Booksellers write "Anéis", toy sellers "Aneis": without that a model that tells accents
    # apart has no reason to take `senhor dos aneis` for a toy, and there is no story to tell.
    return category == "livro" and "anéis" in text.lower()
