"""What happens to a text between a seller's keyboard and a table.

Each function takes a clean text and gives it back as some seller would have typed it.
"""

import re
import unicodedata
from random import Random

GLUED = (
    "Produto Novo",
    "Produto Original",
    "Descrição",
    "DESCRIÇÃO",
    "Pronta Entrega",
    "PROMOÇÃO",
    "Envio Imediato",
    "Novo",
    "Lacrado",
    "Sobre o produto",
    "Frete Grátis",
    "Detalhes",
)
SMALL_WORDS = {"de", "da", "do", "das", "dos", "e", "a", "o", "os", "as", "em", "para", "com"}
WORD = re.compile(r"\w+")


def without_accents(text: str) -> str:
    """The text without its combining marks."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def forget_accents(text: str, rng: Random, *, always: float, a_word: float) -> str:
    """Without any accent (probability `always`), or without those of some words (`a_word` each)."""
    if rng.random() < always:
        return without_accents(text)
    return WORD.sub(lambda m: without_accents(m[0]) if rng.random() < a_word else m[0], text)


def change_case(name: str, rng: Random) -> str:
    """Every Word Capital as on big marketplaces, UPPER, lower, or as it was."""
    chance = rng.random()
    if chance < 0.55:
        return " ".join(word[:1].upper() + word[1:] for word in name.split(" "))
    if chance < 0.65:
        return name.upper()
    if chance < 0.72:
        return name.lower()
    return name


def stray_spaces(text: str, rng: Random, probability: float) -> str:
    """Leading and trailing spaces, and a run of spaces (or a no-break space) now and then."""
    if rng.random() < probability:
        text = " " * rng.choice((0, 1, 1, 2)) + text + " " * rng.choice((1, 1, 1, 2, 3))
    if " " in text.strip() and rng.random() < probability / 4:
        places = [match.start() for match in re.finditer(r"(?<=\S) (?=\S)", text)]
        place = rng.choice(places)
        text = text[:place] + rng.choice(("  ", "   ", " \u00a0")) + text[place + 1 :]
    return text


def glue_words(name: str, rng: Random, probability: float) -> str:
    """Two neighbouring words of a name written as one, the small one first to go."""
    words = name.split(" ")
    if len(words) < 3 or rng.random() >= probability:
        return name
    small = [i for i, word in enumerate(words[1:], start=1) if word.lower() in SMALL_WORDS]
    place = rng.choice(small) if small else rng.randrange(1, len(words))
    words[place - 1 : place + 1] = [words[place - 1] + words[place]]
    return " ".join(words)


def glue_marketing(description: str, rng: Random) -> str:
    """A heading stuck to the first word, sentences stuck together, or the whole shouted."""
    if rng.random() < 0.12:
        description = rng.choice(GLUED) + description
    if rng.random() < 0.2:
        description = re.sub(
            r"([.!:]) (?=\w)", lambda m: m[1] if rng.random() < 0.5 else m[0], description
        )
    if rng.random() < 0.04:
        description = description.upper()
    return description
