"""The compiled file: a JSON header, and arrays that workers map into memory.

    bytes 0-7     b"HSLANE4" and the machine's byte order, l or b
    bytes 8-11    CRC-32 of all that follows
    bytes 12-15   length of the header
    bytes 16-     the header, then the arrays, each at a multiple of eight

Where the header holds an array stands `{"array": [start, length, format]}`, from the end of the
header on. The file holds data only; reading it runs none of it. The checksum is for damage (a copy
that was cut short, a bad disk), not for malice.
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

MAGIC = b"HSLANE4" + sys.byteorder[:1].encode()
PREFIX = struct.Struct("=8sII")
CHECKED_FROM = 12
ALIGNMENT = 8


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], int]:
    """Map a file and check it.

    Returns:
        What was given to `write`, its arrays as views of the file; and the file's checksum.

    Raises:
        LaneError: the file is not there, is of another kind, or is damaged.
    """
    try:
        with open(path, "rb") as file:
            # An empty file can't be mapped.
            if os.fstat(file.fileno()).st_size < PREFIX.size:
                raise LaneError("it is not a compiled model: it is too short")
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise LaneError(f"it can't be read: {error.strerror or error}") from None
    magic, checksum, length = PREFIX.unpack_from(buffer)
    if magic != MAGIC:
        raise LaneError(
            "it is not a compiled model of this version of hotserve, for a machine of this kind"
        )
    view = memoryview(buffer)
    if zlib.crc32(view[CHECKED_FROM:]) != checksum:
        raise LaneError("it is damaged or was cut short; compile the model again")
    # Reading it all made it all count as this process's memory; what is used comes back.
    buffer.madvise(mmap.MADV_DONTNEED)
    arrays = view[PREFIX.size + length :]

    def array(value: dict[str, Any]) -> Any:
        if value.keys() != {"array"}:
            return value
        start, size, kind = value["array"]
        return arrays[start : start + size].cast(kind)

    try:
        header = json.loads(buffer[PREFIX.size : PREFIX.size + length], object_hook=array)
    except (ValueError, TypeError) as error:
        raise LaneError(f"its header can't be read: {error}; compile the model again") from None
    return header, checksum


def write(path: str | os.PathLike[str], header: Mapping[str, Any]) -> None:
    """Write a file for `read`, in one step: a reader never sees half of it.

    Args:
        path: where; a file that is there is replaced, and who has it mapped keeps the old one.
        header: any JSON, with arrays of numbers (whatever `memoryview` takes) in it.

    Raises:
        OSError: it can't be written.
    """
    content = bytearray()

    def array(values: Any) -> dict[str, Any]:
        view = memoryview(values)
        start = len(content)
        content.extend(view.cast("B").tobytes().ljust(_aligned(view.nbytes), b"\0"))
        return {"array": [start, view.nbytes, view.format]}

    head = json.dumps(header, default=array).encode()
    head = head.ljust(_aligned(PREFIX.size + len(head)) - PREFIX.size)
    checked = struct.pack("=I", len(head)) + head
    checksum = zlib.crc32(content, zlib.crc32(checked))
    target = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines((MAGIC, struct.pack("=I", checksum), checked, content))
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT
