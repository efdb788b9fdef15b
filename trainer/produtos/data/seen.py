"""Which texts have been there before, of more texts than fit into memory."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

CACHE = 32_000
"""Kilobytes of what is on the disk that are in memory, too."""


class Seen:
    """Texts, each with a mark: 64 bits of its hash and the mark are in a file.

    Two of n different texts have the same hash with a probability of n² / 2⁶⁵: one in 370,000 for
    ten million, 3 % for a billion.

    Args:
        database: an empty one.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._execute = database.execute
        self._execute(f"PRAGMA cache_size = -{CACHE}")
        # Nobody needs what is left of it after a fault.
        self._execute("PRAGMA journal_mode = OFF")
        self._execute("CREATE TABLE seen (hash INTEGER PRIMARY KEY, mark TEXT)")
        self._execute("BEGIN")

    def add(self, text: str, mark: str = "") -> str | None:
        """Remember a text; the mark that it was there with before, or None for a new one."""
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big", signed=True)
        added = self._execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (number, mark))
        if added.rowcount:
            return None
        before = self._execute("SELECT mark FROM seen WHERE hash = ?", (number,))
        return str(before.fetchone()[0])


@contextmanager
def seen() -> Iterator[Seen]:
    """An empty set, in a file without a name."""
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        yield Seen(database)
