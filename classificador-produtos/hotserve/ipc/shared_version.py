"""The number of the last committed change, in one word of memory that all workers share.

Each worker first prepares a change and acknowledges it; when all of them have, the manager raises
this number. A worker looks at it before each answer, so that all change over at once: from the
first answer of a new version on, no request that comes later gets one of the old.
"""

import mmap
import os
from typing import Self

_SIZE = 8


class SharedVersion:
    """A number that grows; the manager writes it, the workers read it.

    Args:
        fd: of memory made by `create`; a worker inherits it.

    Attributes:
        words: `words[0]` is the number of the change that is served.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.words = memoryview(mmap.mmap(fd, _SIZE)).cast("Q")

    @classmethod
    def create(cls) -> Self:
        """A new one, at zero."""
        fd = os.memfd_create("hotserve-version")
        os.ftruncate(fd, _SIZE)
        return cls(fd)
