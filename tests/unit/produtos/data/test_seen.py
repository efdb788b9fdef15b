import random

import pytest

from produtos.data import seen as module
from produtos.data.seen import seen


@pytest.mark.parametrize("cache", [1, 32_000])
def test_what_has_been_there_before_is_told_as_by_a_dictionary(
    cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CACHE", cache)
    chosen = random.Random(7)
    known: dict[str, str] = {}
    with seen() as found:
        for _ in range(20_000):
            text, mark = str(chosen.randrange(9_000)), chosen.choice(["game", "livro", ""])
            assert found.add(text, mark) == known.get(text)
            known.setdefault(text, mark)


def test_two_sets_know_nothing_of_each_other() -> None:
    with seen() as one, seen() as other:
        assert one.add("halo") is None
        assert other.add("halo") is None
        assert one.add("halo") == ""
