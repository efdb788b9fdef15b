"""Portuguese function words, read by NLTK from the list that ships with the project."""

import tempfile
from functools import cache
from pathlib import Path

import nltk
from nltk.corpus import stopwords
from nltk.tokenize import RegexpTokenizer
from sklearn.feature_extraction.text import strip_accents_unicode

from produtos.text import NLTK_DATA, STOP_WORDS, TOKEN

tokenizer = RegexpTokenizer(TOKEN)
"""NLTK's view of what a token is; the model's pipeline has the same pattern."""


def stop_words(*, strip_accents: bool) -> list[str]:
    """The words that a model does not look at, sorted, each of them one token.

    Args:
        strip_accents: whether the model compares words without their accents; the list then has
            none either, or `não` would never be found.
    """
    listed = _listed()
    if strip_accents:
        listed = strip_accents_unicode(listed)
    return sorted(set(tokenizer.tokenize(listed)))


@cache
def _listed() -> str:
    # NLTK refuses data that a group may write or that another account owns, as in any checkout
    # made with umask 002; it reads a private copy. Nothing else is on its path meanwhile: nothing
    # is downloaded, and a list that happens to be installed on one machine must not make its
    # models differ from those of another.
    before = list(nltk.data.path)
    with tempfile.TemporaryDirectory() as private:
        copy = Path(private) / STOP_WORDS
        for folder in (copy.parent.parent, copy.parent):
            folder.mkdir(mode=0o700)
        copy.touch(mode=0o600)
        copy.write_bytes((NLTK_DATA / STOP_WORDS).read_bytes())
        nltk.data.path[:] = [private]
        try:
            return " ".join(stopwords.words("portuguese")).lower()
        finally:
            nltk.data.path[:] = before
