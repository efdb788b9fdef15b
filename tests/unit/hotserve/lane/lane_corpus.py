"""A small corpus for the lane's tests, and a short way to fit and compile a pipeline on it."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

from hotserve.lane import Lane
from hotserve.lane.compile import compile_pipeline

TEXTS = [
    "Boneca de pano com vestido, boneca de pano",
    "boneca bebê que chora e ri",
    "Carrinho de controle remoto",
    "quebra-cabeça 500 peças do castelo",
    "Senhor dos Anéis: a Sociedade do Anel",
    "O pequeno príncipe, edição de bolso",
    "Dom Casmurro - Machado de Assis",
    "A história da maçã e da maça",
    "Halo 5 para Xbox One",
    "jogo de corrida GTA V PS4 ps4 PS4",
    "controle sem fio Xbox 360",
    "Zelda: Breath of the Wild (Switch)",
    "batom líquido matte vermelho",
    "base líquida FPS 30 pele oleosa",
    "rímel à prova d'água",
    "kit de pincéis pincéis maquiagem",
    "Οδός ΟΔΟΣ İstanbul ISTANBUL straße STRASSE",
    "日本語 テキスト ガンダム 한국어",
]
LABELS = [name for name in ("brinquedo", "livro", "game", "maquiagem") for _ in range(4)]
LABELS += ["livro", "game"]
WORDS = sorted({word for text in TEXTS for word in text.split()})


def labels(kind: str) -> list[Any]:
    """One label for each text: `str` (four classes), `two` (texts), `int` or `bool`."""
    if kind == "two":
        return ["sim" if label == "livro" else "não" for label in LABELS]
    if kind == "int":
        return [10 - sorted(set(LABELS)).index(label) for label in LABELS]
    if kind == "bool":
        return [label == "game" for label in LABELS]
    return LABELS


def fit_and_compile(*steps: BaseEstimator, kind: str = "str") -> tuple[Any, Lane]:
    """A pipeline of these steps, fitted, and its lane."""
    pipeline = make_pipeline(*steps).fit(TEXTS, labels(kind))
    return pipeline, lane_of(pipeline)


def lane_of(pipeline: Any) -> Lane:
    """The lane of a fitted pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        # The file may go while it is mapped.
        return compile_pipeline(pipeline, Path(folder, "model.lane"))


@functools.lru_cache(maxsize=512)
def compiled(make: Callable[..., list[BaseEstimator]], *arguments: Any) -> tuple[Any, Lane]:
    """`fit_and_compile` on what `make` makes, once for the same arguments; the last is the kind."""
    *others, kind = arguments
    return fit_and_compile(*make(*others), kind=kind)
