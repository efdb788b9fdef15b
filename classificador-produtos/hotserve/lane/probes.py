"""The texts on which the lane must agree with the served model before it opens.

What a model does with a text before scikit-learn sees it (a pyfunc may trim it, cut it, rewrite
it, or answer with something else than labels) is in no file; it shows in the answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hotserve.lane.errors import Uncertain
from hotserve.lane.lane import Lane
from hotserve.lane.model import Leaf

FROM_VOCABULARY = 480
SEED = 20_261_123
PROBABILITY_TOLERANCE = 1e-9

# Separated by bars: a text with a space in it is one text.
SPECIAL = tuple(
    "|".join(
        (
            "| |  |\t|\n|\r\n| \n |\x00|\u00a0|\u2003|\u2028|\u3000",
            "a|A|z|0|7|_|.|-|'|\"|\\|/|,|;|%|{}|[]|é|#|--|=1+1|<b>a</b>|a&amp;b|''|\"a\"|'a'",
            "0123456789|1984|3.14|1,5|1e9|-1|٣٤٥|²³|½|Ⅷ|null|true|NaN|None|nan|N/A|NA|inf",
            "texto|nome,descricao|nome;descricao|a\x00b|ab\x00|\x00ab|a-b|a_b|a'b|a’b|don't|C++",
            "e-mail@ex.com|http://a.b/c?d=e|R$ 10,00|maçã|mac\u0327a\u0303|ANÉIS|anéis|ane\u0301is",
            "coração|avó avô|pingüim|ÀÁÂÃÄÅ|àáâãäå|ñ|n\u0303|œuvre|Æsir|ø|ł|đ|þ|ð|Ð",
            "İstanbul|ISTANBUL|ı|I\u0307|ß|ẞ|STRASSE|ſ|ſt|ﬁm|ﬀ|ŉ|ǆ|ǅ|Ǆ|ẖ|ʼn",
            "ΟΔΟΣ|ΟΔΟΣ ΣΑΣ|Σ|ΣΣ|αΣ|αΣ.|ΑΣ\u0301|ΑΣ\u2003Α|ς|ΐ|ᾳ|ῼ|Ω|\u2126|µ|μ",
            "\u0301|a\u0301\u0327b|\u0301a|a \u0301 b|¨|´a|a´|a¨b|\u200d|\u200b|a\u200bb|a\u00adb",
            "\ufeffa|a\ufeff|\u202eabc|\u200fa|a\u034fb|ﷺ|\uffff|\ue000|\U0010ffff",
            "😀|😀😀|a😀b|👩\u200d👩\u200d👧|🇧🇷|1\ufe0f\u20e3|👍🏽|𝐛𝐨𝐥𝐚|𝟗|𐐀|𐐨|𠮷野家",
            "שלום|שָׁלוֹם|مرحبا|مُحَمَّد|سلام دنیا|हिन्दी|বাংলা|ไทย|한국어|\u1112\u1161\u11ab",
            "日本語|ガ|\uff76\uff9e|か\u3099|中文 文本|漢字かな交じり文|ＡＢＣ|１２３|㍿|㎏|℃|™",
            "a\tb|a\nb|a\r\nb|a\x0bb|a\x1cb|\x1c|a\x85b|a\u00a0b|a\u1680b|a\u2003b|a\u2028b|a\u3000b",
        )
    ).split("|")
)


@dataclass(frozen=True)
class Difference:
    """A text on which the lane and the model differ; as text, one line."""

    text: str
    lane: str
    model: str

    def __str__(self) -> str:
        return f"on {_shown(self.text)} the lane answers {self.lane}, the model {self.model}"


def probes_file(compiled: str | os.PathLike[str]) -> Path:
    """Where the probes of a compiled file are: a JSON list of texts."""
    return Path(f"{os.fspath(compiled)}.probes.json")


def read_probes(compiled: str | os.PathLike[str]) -> list[str]:
    """The probes of a compiled file.

    Raises:
        OSError, ValueError: they aren't there, or are damaged.
    """
    probes: list[str] = json.loads(probes_file(compiled).read_bytes())
    return probes


def probe_texts(lane: Lane, example: Sequence[str] = ()) -> list[str]:
    """At least 500 texts: the example, what is special in Unicode and JSON, and the vocabulary.

    The same model and example give the same texts.
    """
    chance = random.Random(SEED)
    texts = list(dict.fromkeys([*example, *SPECIAL]))
    leaves = lane.model.leaves
    for number in range(FROM_VOCABULARY):
        texts.append(_from_vocabulary(leaves[number % len(leaves)], chance, number))
    many = _draw(leaves[0], chance, 2000)
    texts += [" ".join(many), "".join(many), many[0] * 1000, "a" * 10_000, "é " * 2000]
    texts += [" " * 5000 + many[0], many[0] + "\n" * 5000, "\n".join(many[:500])]
    return texts


def model_example(model_folder: Path) -> list[str]:
    """All texts in the input example that an MLflow model was saved with; none, if it has none."""
    texts: list[str] = []
    for name in ("input_example.json", "serving_input_example.json"):
        with contextlib.suppress(OSError, ValueError):
            texts += _strings(json.loads((model_folder / name).read_bytes()))
    return list(dict.fromkeys(texts))[:200]


def compare(
    lane: Lane,
    probes: Sequence[str],
    answers: Sequence[Any],
    probabilities: Sequence[Sequence[float]] | None = None,
) -> Difference | None:
    """The first text on which the lane answers otherwise than the model did.

    Args:
        lane: an open lane.
        probes: texts.
        answers: the model's predictions for them, as decoded from JSON.
        probabilities: the model's probabilities for them, in the order of the lane's classes, if
            it gave any.

    Returns:
        None where they agree on all. Texts that the lane passes on to the model agree.
    """
    if not isinstance(answers, list) or len(answers) != len(probes):
        given = f"{len(answers)} answers" if isinstance(answers, list) else "no list of answers"
        return Difference(probes[0], f"{len(probes)} texts one by one", f"with {given} in all")
    for text, answer in zip(probes, answers, strict=True):
        try:
            (label,) = lane.predict([text])
        except Uncertain:
            continue
        # Not ==, to which True and 1 and 1.0 are one.
        if json.dumps(label) != json.dumps(answer, default=repr):
            return Difference(text, json.dumps(label), _shown(json.dumps(answer, default=repr)))
    if probabilities is not None and lane.has_probabilities:
        for text, theirs in zip(probes, probabilities, strict=False):
            (ours,) = lane.predict_proba([text])
            if len(ours) != len(theirs) or any(
                not abs(a - b) <= PROBABILITY_TOLERANCE for a, b in zip(ours, theirs, strict=False)
            ):
                return Difference(text, f"probabilities {ours[:5]}", f"{list(theirs)[:5]}")
    return None


def _draw(leaf: Leaf, chance: random.Random, count: int) -> list[str]:
    """`count` terms of a vectorizer, now and then one of its stop words, some repeated."""
    stop_words = leaf.analyzer.settings.stop_words
    words: list[str] = []
    for _ in range(count):
        if stop_words and chance.random() < 0.15:
            words.append(chance.choice(stop_words))
        elif words and chance.random() < 0.1:
            words.append(chance.choice(words))
        else:
            words.append(leaf.terms.term(chance.randrange(len(leaf.terms))))
    return words


def _from_vocabulary(leaf: Leaf, chance: random.Random, number: int) -> str:
    # A handful of words is like a product's name, some dozens like a description; few words are
    # where classes are near each other.
    length = (1, 1, 2, 3, 5, 8, 13, 40)[number % 8]
    separator = chance.choice([" "] * 8 + [", ", "  ", "-", "\n", ". ", "/", "\u00a0", "x", "! "])
    text = separator.join(_draw(leaf, chance, length))
    changes: list[Callable[[str], str]] = [
        str.upper,
        str.title,
        partial(unicodedata.normalize, "NFD"),
        lambda text: "".join(chance.choice((c, c, c, c + "\u0301", c.upper())) for c in text),
        "  {} 123 ".format,
    ]
    change = chance.randrange(8)
    return changes[change](text) if change < len(changes) else text


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    return []


def _shown(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 120 else f"{shown[:120]}… ({len(text)} characters)"
