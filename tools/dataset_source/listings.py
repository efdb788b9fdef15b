"""From a product to a listing: the name and the description that a seller writes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from dataset_source import dirt
from dataset_source.catalogue import TEXT, Product, endless, read_products
from dataset_source.phrases import Grammar, read_sections

CATEGORIES = ("livro", "brinquedo", "maquiagem", "game")
WITHOUT_DESCRIPTION = 0.26

STORY = re.compile("an[eé]is|halo", re.IGNORECASE)
"""Words of the texts that the documentation tries: only their own listings have them."""

SPELLINGS = {
    "PS2": ("PS2", "Ps2", "Playstation 2"),
    "PS3": ("PS3", "Ps3", "Playstation 3", "PS 3"),
    "PS4": ("PS4", "Ps4", "Playstation 4", "PS 4"),
    "PS5": ("PS5", "Ps5", "Playstation 5"),
    "PC": ("PC", "Pc", "PC Steam", "Computador", "PC Windows"),
    "Nintendo Switch": ("Nintendo Switch", "Switch", "N. Switch"),
    "Xbox One": ("Xbox One", "XONE", "Xbox One S", "XboxOne"),
    "Xbox 360": ("Xbox 360", "X360", "Xbox360"),
    "Genérico": ("Genérico", "Importado", "Sem Marca", "Paralelo"),
    "Vários Autores": ("Vários Autores", "Vários", "Coletânea", "Diversos"),
}
"""How sellers write a maker or a platform."""

DIGITAL_STORES = {"PS": "PSN", "Xbox": "XboxLive", "Nintendo": "eShop", "PC": "Steam"}
"""Where the digital copy of a game is bought, by the first word of its platform."""


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
    others = _named_elsewhere()
    seen: set[str] = set()
    attempt = 0
    while len(seen) < count:
        # A seed of its own for each listing: a changed phrase changes the rows that use it only.
        rng = Random(f"{seed}/{category}/{attempt}")
        attempt += 1
        listing = _write(category, next(products), others, grammar, rng)
        key = " ".join(dirt.without_accents(f"{listing.name} {listing.description}").split())
        if key.lower() not in seen:
            seen.add(key.lower())
            yield listing


def _named_elsewhere() -> list[str]:
    """Products of the whole shop, for sellers who advertise them in every listing."""
    names = [product.name for category in CATEGORIES for product in read_products(category)]
    return [name for name in names if not STORY.search(name)]


def _write(
    category: str, product: Product, others: list[str], grammar: Grammar, rng: Random
) -> Listing:
    maker = rng.choice(product.makers)
    store = next((s for start, s in DIGITAL_STORES.items() if maker.startswith(start)), "")
    maker = rng.choice(SPELLINGS.get(maker, (maker,)))
    other = rng.sample(others, 3)
    slots = {
        "produto": product.name,
        "marca": maker,
        "editora": product.publisher,
        "fabricante": product.publisher or maker,
        "tipo": product.kind,
        "sobre": product.about,
        "loja_digital": store,
        "suporte": "cartucho" if store == "eShop" else "disco",
        "outro1": other[0],
        "outro2": other[1],
        "outro3": other[2],
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
