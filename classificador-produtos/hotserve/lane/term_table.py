"""A hash table of terms in a file, so that a vocabulary costs a worker no memory of its own.

Open addressing with linear probing, at most half full. A slot is a 64-bit number: the term's
CRC-32 above, its index plus one below; 0 is an empty slot. How far a look-up goes depends on the
vocabulary only, so no text can make it slow.
"""

from __future__ import annotations

import array
import zlib
from collections.abc import Mapping, Sequence
from typing import Any


def build(terms: Sequence[str]) -> dict[str, Any]:
    """The arrays of a table whose nth term has the index n; `terms` has none twice."""
    slots = array.array("Q", bytes(8 * (1 << max(1, 2 * len(terms)).bit_length())))
    mask = len(slots) - 1
    starts = array.array("Q", [0])
    blob = bytearray()
    for index, term in enumerate(terms):
        # Half of a surrogate pair, which JSON can carry, has bytes too.
        key = term.encode("utf-8", "surrogatepass")
        blob += key
        starts.append(len(blob))
        checksum = zlib.crc32(key)
        slot = checksum & mask
        while slots[slot]:
            slot = (slot + 1) & mask
        slots[slot] = checksum << 32 | index + 1
    return {"slots": slots, "starts": starts, "terms": blob}


class TermTable:
    """A table in an open file."""

    def __init__(self, arrays: Mapping[str, memoryview[int]]) -> None:
        self._slots, self._starts, self._terms = (arrays[n] for n in ("slots", "starts", "terms"))
        self._mask = len(self._slots) - 1

    def __len__(self) -> int:
        return len(self._starts) - 1

    def term(self, index: int) -> str:
        """The term with an index."""
        return bytes(self._terms[self._starts[index] : self._starts[index + 1]]).decode(
            "utf-8", "surrogatepass"
        )

    def find(self, term: str) -> int | None:
        """A term's index, or None."""
        key = term.encode("utf-8", "surrogatepass")
        checksum = zlib.crc32(key)
        slots, mask = self._slots, self._mask
        slot = checksum & mask
        while entry := slots[slot]:
            if entry >> 32 == checksum:
                index = (entry & 0xFFFFFFFF) - 1
                if self._terms[self._starts[index] : self._starts[index + 1]] == key:
                    return index
            slot = (slot + 1) & mask
        return None
