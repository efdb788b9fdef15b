import random

import numpy as np
import pytest

from produtos.data import seen as module
from produtos.data.seen import Hashes, Mask, hashes_of, kept, seen


@pytest.mark.parametrize("piece", [1, 100, 1 << 17])
@pytest.mark.parametrize("size", [7, 1000])
def test_what_has_been_there_before_is_told_as_by_a_set(
    size: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", piece)
    chosen = random.Random(size)
    texts = [str(chosen.randrange(300)) for _ in range(2_000)]
    known: set[str] = set()
    with seen() as found:
        for start in range(0, len(texts), size):
            block = texts[start : start + size]
            assert found.has(hashes_of(block)).tolist() == [text in known for text in block]
            new = []
            for text in block:
                new.append(text not in known)
                known.add(text)
            assert found.add(hashes_of(block)).tolist() == new


def test_of_no_text_nothing_is_told() -> None:
    with seen() as found:
        assert found.add(hashes_of([])).tolist() == []
        assert found.has(hashes_of(["halo"])).tolist() == [False]


@pytest.mark.parametrize(("many", "asked"), [(1, 3), (4, 2), (100, 1)])
def test_what_is_kept_of_each_block_is_asked_for_many_at_a_time(
    many: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MANY", many)
    questions = []

    def odd(numbers: Hashes) -> Mask:
        questions.append(len(numbers))
        is_odd: Mask = numbers % 2 == 1
        return is_odd

    blocks = [[1, 2, 3], [4, 5], [], [6, 8]]
    found = kept(blocks, lambda block: np.array(block, np.uint64), odd)
    assert list(found) == [[1, 3], [5], [], []]
    assert len(questions) == asked
    assert sum(questions) == 7
