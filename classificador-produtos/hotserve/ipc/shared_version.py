"""The number of the news that counts: one word of memory that the manager and all workers share.

Each worker first hears of a change and makes ready for it; when all of them have, the manager
raises this number. A worker looks at it before each answer, so that all change over at once: from
the first answer of a new version on, no request that comes later gets one of the old.
"""

from __future__ import annotations

import mmap
import os
from typing import Self

_SIZE = 8


class Agreement:
    """A number that grows; the manager writes it, the workers read it.

    Args:
        fd: of memory made by `create`; a worker inherits it.

    Attributes:
        words: `words[0]` is the number, for those who look at it thousands of times a second.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.words = memoryview(mmap.mmap(fd, _SIZE)).cast("Q")

    @classmethod
    def create(cls) -> Self:
        """A new one, at zero."""
        fd = os.memfd_create("hotserve-agreement")
        os.ftruncate(fd, _SIZE)
        return cls(fd)

    @property
    def number(self) -> int:
        """What everybody goes by now."""
        return self.words[0]

    @number.setter
    def number(self, number: int) -> None:
        self.words[0] = number
