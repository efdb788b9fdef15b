"""Which texts have been there before, of more texts than fit into memory."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def hashes_of(texts: Iterable[str]) -> Hashes:
    """A number of 64 bits for each text."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), np.uint64)


class Seen:
    """A set of hashes, eight bytes each.

    They are kept sorted, in arrays each of which is at least twice as long as the next, so that
    each hash is moved a few times only. Two of n different texts have the same hash with a
    probability of n² / 2⁶⁵: one in 370,000 for ten million, 3 % for a billion.
    """

    def __init__(self) -> None:
        self._sorted: list[Hashes] = []

    def has(self, hashes: Hashes) -> NDArray[np.bool_]:
        """For each hash, whether it is in the set."""
        found = np.zeros(len(hashes), np.bool_)
        for known in self._sorted:
            places = np.searchsorted(known, hashes)
            places[places == len(known)] = 0
            found |= known[places] == hashes
        return found

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Put hashes into the set; for each, whether that is the first time."""
        unique, first = np.unique(hashes, return_index=True)
        new = ~self.has(unique)
        is_first = np.zeros(len(hashes), np.bool_)
        is_first[first[new]] = True
        added = unique[new]
        while self._sorted and len(self._sorted[-1]) < 2 * len(added):
            added = np.concatenate((self._sorted.pop(), added))
            # Of two that are sorted, this one is a merge.
            added.sort(kind="stable")
        if len(added):
            self._sorted.append(added)
        return is_first
