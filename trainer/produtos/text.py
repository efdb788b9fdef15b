"""The text of a product: how it is put together, compared, and cut into tokens."""

import re
import unicodedata
from functools import cache
from pathlib import Path

TOKEN = r"\w+"
"""What a token is, for NLTK's tokenizer and scikit-learn's vectorizers alike."""

NLTK_DATA = Path(__file__).resolve().parents[1] / "nltk_data"
STOP_WORDS = Path("corpora", "stopwords", "portuguese")
"""Our own list of function words, where NLTK looks for one below `NLTK_DATA`."""


def product_text(name: str | None, description: str | None) -> str:
    """`nome + " " + descricao`, a missing part counting as empty."""
    return f"{name or ''} {description or ''}".strip()


def tidy(text: str) -> str:
    """The text without differences that nobody sees.

    These are white space of other kinds and lengths, characters without width, and the two ways
    Unicode has of writing an accented letter.
    """
    composed = unicodedata.normalize("NFC", text)
    if not composed.isprintable():
        composed = "".join(each for each in composed if unicodedata.category(each) != "Cf")
    return " ".join(composed.split())


def normal_form(text: str) -> str:
    """What two texts have in common when they are the same to a reader.

    Case and what `tidy` takes away do not count; accents do, since `avó` and `avô` are two words.
    """
    return tidy(text).casefold()


def has_word(text: str) -> bool:
    """Whether a model finds anything in a text: a token that is no stop word."""
    # Word by word: most texts have one at once.
    words = map(_without_accents, text.lower().split())
    return any(token not in _stop_words() for word in words for token in re.findall(TOKEN, word))


@cache
def _stop_words() -> frozenset[str]:
    listed = (NLTK_DATA / STOP_WORDS).read_text(encoding="utf-8")
    return frozenset(_without_accents(listed.lower()).split())


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    return "".join(each for each in apart if not unicodedata.combining(each))
