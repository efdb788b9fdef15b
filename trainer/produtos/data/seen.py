"""Which texts have been there before, of more texts than fit into memory."""

import hashlib
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import compress
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Item = TypeVar("Item")

MANY = 1 << 18
"""What is asked of a set at a time: for each question its file is read once."""

PIECE = 1 << 17
"""Hashes of a file that are in memory at a time: 1 MB."""


def hashes_of(texts: Iterable[str]) -> Hashes:
    """A number of 64 bits for each text."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), np.uint64)


class Seen:
    """A set of hashes on the disk, eight bytes each, in order.

    A question has the whole file read, and what is added has it written anew: ask `many` at a time.
    Two of n different texts have the same hash with a probability of n² / 2⁶⁵: one in 370,000 for
    ten million, 3 % for a billion.

    Args:
        file: an empty one.
        other: another one, which the next set is written to.
    """

    def __init__(self, file: IO[bytes], other: IO[bytes]) -> None:
        self._file = file
        self._next = other

    def has(self, hashes: Hashes) -> Mask:
        """For each hash, whether it is in the set."""
        unique, places = np.unique(hashes, return_inverse=True)
        found = np.zeros(len(unique), np.bool_)
        for piece, part in self._pieces(unique):
            found[part] = _are_in(piece, unique[part])
        return found[places]

    def add(self, hashes: Hashes) -> Mask:
        """Put hashes into the set; for each, whether that is the first time."""
        unique, first = np.unique(hashes, return_index=True)
        new = np.ones(len(unique), np.bool_)
        end = 0
        for piece, part in self._pieces(unique):
            new[part] = ~_are_in(piece, unique[part])
            both = np.concatenate((piece, unique[part][new[part]]))
            # Of two that are sorted, this one is a merge.
            both.sort(kind="stable")
            self._next.write(both.data)
            end = part.stop
        self._next.write(unique[end:].data)
        self._file, self._next = self._next, self._file
        _empty(self._next)
        is_first = np.zeros(len(hashes), np.bool_)
        is_first[first[new]] = True
        return is_first

    def _pieces(self, unique: Hashes) -> Iterator[tuple[Hashes, slice]]:
        """What is in the file, piece by piece, and which of the hashes would be within each."""
        self._file.seek(0)
        start = 0
        while read := self._file.read(PIECE * 8):
            piece = np.frombuffer(read, np.uint64)
            end = int(np.searchsorted(unique, piece[-1], "right"))
            yield piece, slice(start, end)
            start = end


@contextmanager
def seen() -> Iterator[Seen]:
    """An empty set, in files without names."""
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as other:
        yield Seen(file, other)


def _are_in(piece: Hashes, hashes: Hashes) -> Mask:
    """Whether each is in a piece that goes at least as far."""
    is_in: Mask = piece[np.searchsorted(piece, hashes)] == hashes
    return is_in


def many(hashes: Iterable[Hashes]) -> Iterator[Hashes]:
    """The same hashes, `MANY` at a time or a few more."""
    waiting: list[Hashes] = []
    for some in hashes:
        waiting.append(some)
        if sum(map(len, waiting)) >= MANY:
            yield np.concatenate(waiting)
            waiting.clear()
    if waiting:
        yield np.concatenate(waiting)


def kept(
    blocks: Iterable[Sequence[Item]],
    hashes: Callable[[Sequence[Item]], Hashes],
    which: Callable[[Hashes], Mask],
) -> Iterator[list[Item]]:
    """Those of each block that are to be kept, of `many` at a time; they wait on the disk for it.

    Args:
        blocks: of anything.
        hashes: gives those of a block, a row of them for each.
        which: says of so many rows which are kept.
    """
    with tempfile.TemporaryFile() as waiting:

        def put_aside() -> Iterator[Hashes]:
            for block in blocks:
                pickle.dump(block, waiting)
                yield hashes(block)

        for some in many(put_aside()):
            is_kept = iter(which(some).tolist())
            for block in unpickled(waiting):
                yield list(compress(block, is_kept))
            _empty(waiting)


def _empty(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def unpickled(file: IO[bytes]) -> Iterator[Any]:
    """Everything that was pickled into a file, from its beginning."""
    file.seek(0)
    with suppress(EOFError):
        while True:
            yield pickle.load(file)
