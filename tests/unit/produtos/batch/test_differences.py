"""Where two models differ is counted right."""

from pathlib import Path

import pytest

from produtos.batch.differences import Differences


def test_differences_are_counted_and_drawn(tmp_path: Path) -> None:
    found = Differences(("production", "staging"))
    found.add(["a", "b"], ["livro", "game"], ["livro", "livro"])
    found.add(["c", "d"], ["game", "brinquedo"], ["livro", "game"])
    assert (found.products, found.differing, found.share) == (4, 3, 0.75)
    assert found.ranked() == [("game", "livro", 2), ("brinquedo", "game", 1)]
    lines = found.table().splitlines()
    assert lines[0] == "production and staging differ on 3 of 4 products (75.00%)"
    assert lines[2].split() == ["game", "livro", "2", "b"]
    found.save(tmp_path)
    assert (tmp_path / "differences.csv").read_text(encoding="utf-8").splitlines() == [
        "texto;production;staging",
        "b;game;livro",
        "c;game;livro",
        "d;brinquedo;game",
    ]
    assert "livro;livro;1;" in (tmp_path / "summary.csv").read_text(encoding="utf-8")
    assert (tmp_path / "differences.png").read_bytes().startswith(b"\x89PNG")


def test_of_very_many_categories_those_that_differ_most_are_drawn(tmp_path: Path) -> None:
    names = [f"R$ {n}_ a R$ {n}^" for n in range(900)]
    found = Differences(("1", "2"))
    found.add(names, names, names[1:] + names[:1])
    found.save(tmp_path)
    assert (tmp_path / "differences.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines()) == 901


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (10, "p09"),
        (11, "… and 1 more pair of answers"),
        (12, "… and 2 more pairs of answers"),
    ],
)
def test_pairs_that_are_not_shown_are_counted(pairs: int, said: str) -> None:
    found = Differences(("1", "2"))
    names = [f"p{n:02}" for n in range(pairs)]
    found.add(names, names, ["outra"] * pairs)
    lines = found.table().splitlines()
    assert said in lines[-1]
    assert len(lines) == 12 + (pairs > 10)


def test_every_word_of_the_table_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("produtos.batch.differences.tr", lambda message: f"«{message}»")
    found = Differences(("1", "2"))
    names = [f"p{n:02}" for n in range(12)]
    found.add(names, names, ["outra"] * 12)
    lines = found.table().splitlines()
    assert lines[1].split() == ["1", "2", "«products»", "«example»"]
    assert "«pairs»" in lines[-1]


def test_nothing_compared_is_no_difference(tmp_path: Path) -> None:
    found = Differences(("1", "2"))
    assert found.share == 0.0
    found.save(tmp_path)
    assert not (tmp_path / "differences.png").exists()
