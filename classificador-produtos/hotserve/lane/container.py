"""The compiled file: a JSON header, and arrays that workers map into memory.

    bytes 0-7     b"HSLANE2\\n"
    bytes 8-15    length of the header, unsigned, little-endian
    bytes 16-19   CRC-32 of everything else
    bytes 20-     the header, then the sections, each at a multiple of eight

The file holds data only; reading it runs none of it. The checksum is for damage (a copy that was
cut short, a bad disk), not for malice.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hotserve.lane.errors import LaneError

MAGIC = b"HSLANE2\n"
PREFIX = struct.Struct("<8sQI")
CHECKSUM_AT = 16
ALIGNMENT = 8


class Container:
    """An open file of sections.

    Attributes:
        header: what was given to `write`.
        checksum: of the whole file.
        sections: for each name, where it starts behind the header and its length, in bytes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Map a file and check it.

        Raises:
            LaneError: the file is not there, is of another kind, or is damaged.
        """
        name = os.fspath(path)
        try:
            with open(name, "rb") as file:
                # An empty file can't be mapped.
                if os.fstat(file.fileno()).st_size < PREFIX.size:
                    raise LaneError(f"{name} is not a compiled model: it is too short")
                self.buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise LaneError(f"{name} can't be read: {error.strerror or error}") from None
        magic, length, checksum = PREFIX.unpack_from(self.buffer)
        if magic != MAGIC:
            raise LaneError(f"{name} is not a compiled model of this version of hotserve")
        with memoryview(self.buffer) as view:
            if zlib.crc32(view[PREFIX.size :], zlib.crc32(view[:CHECKSUM_AT])) != checksum:
                raise LaneError(f"{name} is damaged or was cut short; compile the model again")
        self.checksum: int = checksum
        self._start: int = PREFIX.size + length
        # Reading it all made it all count as this process's memory; what is used comes back.
        self.buffer.madvise(mmap.MADV_DONTNEED)
        try:
            header = json.loads(self.buffer[PREFIX.size : PREFIX.size + length])
            self.sections: dict[str, list[int]] = header.pop("sections")
            byte_order = header.pop("byte_order")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LaneError(f"{name} has no readable header; compile the model again") from None
        if byte_order != sys.byteorder:
            raise LaneError(f"{name} was compiled on a {byte_order}-endian machine")
        self.header: dict[str, Any] = header

    def section(self, name: str) -> memoryview:
        """The bytes of a section; `cast` makes an array of them.

        Raises:
            LaneError: there is none of that name.
        """
        try:
            start, length = self.sections[name]
            start += self._start
            return memoryview(self.buffer)[start : start + length]
        except (KeyError, TypeError, ValueError) as error:
            raise LaneError(f"the compiled model has no good section {name}: {error}") from None


def write(
    path: str | os.PathLike[str], header: Mapping[str, Any], sections: Mapping[str, bytes]
) -> None:
    """Write a file that `Container` reads, in one step: a reader never sees half of it.

    Args:
        path: where; a file that is there is replaced, and who has it mapped keeps the old one.
        header: any JSON.
        sections: arrays by name, in the machine's byte order.

    Raises:
        OSError: it can't be written.
    """
    layout, position = {}, 0
    for name, content in sections.items():
        layout[name] = [position, len(content)]
        position += _aligned(len(content))
    head = json.dumps({**header, "byte_order": sys.byteorder, "sections": layout}).encode()
    head = head.ljust(_aligned(PREFIX.size + len(head)) - PREFIX.size)
    chunks = [head]
    for content in sections.values():
        chunks += [content, bytes(_aligned(len(content)) - len(content))]
    checksum = zlib.crc32(PREFIX.pack(MAGIC, len(head), 0)[:CHECKSUM_AT])
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)

    target = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(PREFIX.pack(MAGIC, len(head), checksum))
            file.writelines(chunks)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT
