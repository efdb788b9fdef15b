"""The text of a product: how it is put together, compared, and cut into tokens."""

import unicodedata

TOKEN = r"\w+"
"""What a token is, for NLTK's tokenizer and scikit-learn's vectorizers alike."""


def product_text(name: str | None, description: str | None) -> str:
    """`nome + " " + descricao`, a missing part counting as empty."""
    return f"{name or ''} {description or ''}".strip()


def tidy(text: str) -> str:
    """The text without differences that nobody sees.

    These are white space of other kinds and lengths, and the two ways Unicode has of writing an
    accented letter.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def normal_form(text: str) -> str:
    """What two texts have in common when they are the same to a reader.

    Case, white space and the two ways Unicode has of writing an accented letter do not count;
    accents do, since `avó` and `avô` are two words.
    """
    return tidy(text).casefold()
