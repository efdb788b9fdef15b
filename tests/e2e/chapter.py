"""The chapter's own data set, where this machine has it, and what its pipeline gets on it."""

import pytest

from tests.support.commands import ROOT

REAL_DATA = ROOT.parent / "shared" / "data" / "produtos.csv"
needs_real_data = pytest.mark.skipif(
    not REAL_DATA.exists(), reason=f"{REAL_DATA.name} of the chapter is not on this machine"
)

ACCURACY = {"0.1": 0.9795, "0.2": 0.9829, "0.3": 0.9829, "0.4": 0.9811, "0.5": 0.9794}
"""By test size."""

SAMPLES = {
    "boneca de pano": "brinquedo",
    "halo": "game",
    "senhor dos anéis": "livro",
    "senhor dos aneis": "livro",
}
