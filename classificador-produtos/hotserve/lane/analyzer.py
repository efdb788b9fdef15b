"""From a text to the terms that a vectorizer of scikit-learn would count in it.

Follows sklearn.feature_extraction.text (BSD-3-Clause), as documented in its user guide under
"Text feature extraction": the terms are the same; their order is not promised.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

# Patterns of word characters only: no match holds white space, none looks across it, and none is
# empty. So the tokens of a text are those of its space-separated parts, one after the other.
PATTERN_WITHIN_PARTS = re.compile(
    r"(?:\(\?u\))?(?:\\b)?(?:\\w(?:\+|\{[1-9]\d*(?:,\d*)?\})?)+(?:\\b)?"
)
RUN_OF_SPACES = re.compile(r"\s\s+")


@dataclass(frozen=True)
class Settings:
    """The settings of a vectorizer, by scikit-learn's names.

    Attributes:
        analyzer: `word`, `char` or `char_wb`.
        min_n, max_n: the lengths of n-grams, both included.
        stop_words: tokens left out, for `word` only.
        token_pattern: a regular expression, for `word` only.
    """

    analyzer: str
    min_n: int
    max_n: int
    lowercase: bool
    strip_accents: str | None
    stop_words: Sequence[str]
    token_pattern: str | None
    binary: bool


class Analyzer:
    """Cuts texts into terms.

    Attributes:
        split: cuts a text into parts.
        terms_of_parts: whether the terms of a text are those of its parts, one after the other.
        ngrams_of_parts: whether that is so for its tokens, of which a term may hold several.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare for many texts.

        Raises:
            re.error: the token pattern is none.
        """
        self.settings = settings
        self._word = settings.analyzer == "word"
        self._stop_words = frozenset(settings.stop_words)
        # The mode "ascii" drops white space beyond ASCII, so that it separates nothing.
        at = " " if settings.strip_accents == "ascii" else None
        self.split: Callable[[str], list[str]] = partial(str.split, sep=at) if at else str.split
        pattern = settings.token_pattern if self._word else None
        self._find_tokens: Callable[[str], list[str]] = re.compile(pattern or "").findall
        tokens_of_parts = bool(pattern and PATTERN_WITHIN_PARTS.fullmatch(pattern))
        self.ngrams_of_parts = tokens_of_parts and settings.max_n > 1
        self.terms_of_parts = settings.analyzer == "char_wb" or (
            tokens_of_parts and settings.max_n == 1
        )

    def preprocess(self, text: str) -> str:
        """Lower case, then accents."""
        if self.settings.lowercase:
            text = text.lower()
        if self.settings.strip_accents is None or text.isascii():
            return text
        text = unicodedata.normalize("NFKD", text)
        if self.settings.strip_accents == "ascii":
            return text.encode("ascii", "ignore").decode("ascii")
        return "".join([c for c in text if not unicodedata.combining(c)])

    def tokens(self, text: str) -> list[str]:
        """The words of a text, without stop words; for `word` only."""
        tokens = self._find_tokens(self.preprocess(text))
        if stop_words := self._stop_words:
            return [token for token in tokens if token not in stop_words]
        return tokens

    def terms(self, text: str) -> list[str]:
        """All terms of a text, a term that is there twice counted twice."""
        if self._word:
            return self.word_ngrams(self.tokens(text))
        text = RUN_OF_SPACES.sub(" ", self.preprocess(text))
        if self.settings.analyzer == "char":
            return self._char_ngrams(text, is_word=False)
        padded = [f" {word} " for word in text.split()]
        return [term for word in padded for term in self._char_ngrams(word, is_word=True)]

    def word_ngrams(self, tokens: list[str]) -> list[str]:
        """Runs of tokens, joined by spaces."""
        minimum, maximum = self.settings.min_n, self.settings.max_n
        if maximum == 1:
            return tokens
        terms = tokens[:] if minimum == 1 else []
        for n in range(max(2, minimum), min(maximum, len(tokens)) + 1):
            terms += map(" ".join, zip(*[tokens[i:] for i in range(n)], strict=False))
        return terms

    def _char_ngrams(self, text: str, *, is_word: bool) -> list[str]:
        terms: list[str] = []
        for n in range(self.settings.min_n, self.settings.max_n + 1):
            if is_word and len(text) <= n:
                # A word too short for this length counts whole, and once.
                terms.append(text)
                break
            terms += [text[i : i + n] for i in range(len(text) - n + 1)]
        return terms
