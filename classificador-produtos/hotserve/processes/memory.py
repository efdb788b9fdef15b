"""How much memory processes take, with all that they started."""

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from hotserve.processes import guard

_PAGE = os.sysconf("SC_PAGE_SIZE")


async def memory_of(pids: Iterable[int]) -> dict[int, int]:
    """Bytes by pid; 0 of one that is gone.

    Of what several processes share each has its part (PSS); where the kernel does not tell that,
    all of it (RSS).
    """
    return await asyncio.to_thread(_memory_of, [*pids])


def _memory_of(pids: list[int]) -> dict[int, int]:
    # The kernel walks through all of a process's pages to tell it.
    children = guard.children_by_parent()
    return {pid: sum(map(_bytes, [pid, *guard.descendants(pid, children)])) for pid in pids}


def _bytes(pid: int) -> int:
    folder = Path("/proc", str(pid))
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (folder / "smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) << 10
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((folder / "statm").read_bytes().split()[1]) * _PAGE
    return 0
