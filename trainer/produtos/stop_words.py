"""Portuguese function words, read by NLTK from the list that ships with the project."""

from pathlib import Path

import nltk
from nltk.corpus import stopwords
from nltk.tokenize import RegexpTokenizer
from sklearn.feature_extraction.text import strip_accents_unicode

from produtos.text import TOKEN

NLTK_DATA = Path(__file__).resolve().parent.parent / "nltk_data"

tokenizer = RegexpTokenizer(TOKEN)
"""NLTK's view of what a token is; the model's pipeline has the same pattern."""


def stop_words(*, strip_accents: bool) -> list[str]:
    """The words that a model does not look at, sorted, each of them one token.

    Args:
        strip_accents: whether the model compares words without their accents; the list then has
            none either, or `não` would never be found.
    """
    # Only our own folder: nothing is downloaded, and a list that happens to be installed on one
    # machine must not make its models differ from those of another.
    if nltk.data.path != [str(NLTK_DATA)]:
        nltk.data.path[:] = [str(NLTK_DATA)]
    listed = " ".join(stopwords.words("portuguese")).lower()
    if strip_accents:
        listed = strip_accents_unicode(listed)
    return sorted(set(tokenizer.tokenize(listed)))
