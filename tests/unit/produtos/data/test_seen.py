import random

import numpy as np
import pytest

from produtos.data.seen import Seen, hashes_of


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_has_been_there_before_is_told_as_by_a_set(size: int) -> None:
    chosen = random.Random(size)
    texts = [str(chosen.randrange(3_000)) for _ in range(5_000)]
    seen, known = Seen(), set[str]()
    for start in range(0, len(texts), size):
        block = texts[start : start + size]
        assert seen.has(hashes_of(block)).tolist() == [text in known for text in block]
        new = []
        for text in block:
            new.append(text not in known)
            known.add(text)
        assert seen.add(hashes_of(block)).tolist() == new
    # Sizes that at least double: a few arrays, whatever the blocks were.
    assert sum(map(len, seen._sorted)) == len(known)
    assert len(seen._sorted) <= np.log2(len(known)) + 1


def test_of_no_text_nothing_is_told() -> None:
    seen = Seen()
    assert seen.add(hashes_of([])).tolist() == []
    assert seen.has(hashes_of(["halo"])).tolist() == [False]
