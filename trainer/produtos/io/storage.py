"""Files by address: a path of this machine, or `s3://bucket/key`."""

import io
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from produtos.errors import BadInput, in_one_line, without_secrets
from produtos.language import tr

CSV_ENDINGS = (".csv", ".csv.gz", ".txt", ".txt.gz", ".tsv", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")

HIDDEN = (".", "_")
"""What the names of files and folders begin with that do not count."""

ENDPOINT_VARIABLES = (
    "AWS_ENDPOINT_URL_S3",
    "MLFLOW_S3_ENDPOINT_URL",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
)
"""The first one that is set says where S3 is; none of them means Amazon's."""

S3_SECONDS = 10
"""For a connection; a bucket that does not answer must not hold a job up for minutes."""

ERRORS = (OSError, EOFError, zlib.error, pa.ArrowException, BotoCoreError, ClientError)
"""What reading and writing raise when it is the file's or the store's fault."""


@dataclass(frozen=True)
class Location:
    """A file or a folder.

    Attributes:
        address: as a user writes it.
        path: absolute, or the key within the bucket.
        bucket: of S3; empty for a path of this machine.
    """

    address: str
    path: str
    bucket: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return not self.bucket

    @property
    def is_parquet(self) -> bool:
        """Whether its name says that it is a Parquet file."""
        return self.path.lower().endswith(PARQUET_ENDINGS)

    @property
    def is_gzipped(self) -> bool:
        """Whether its name says that it is a CSV file, gzipped."""
        return self.path.lower().endswith(".gz")

    def open(self) -> io.RawIOBase:
        """Its bytes, seekable, without a buffer."""
        return io.FileIO(self.path) if self.is_local else S3Object(self.bucket, self.path)

    def size(self) -> int:
        """In bytes.

        Raises:
            BadInput: it is not there any more, or its store is gone.
        """
        with readable(self.address), self.open() as file:
            return file.seek(0, os.SEEK_END)


class S3Object(io.RawIOBase):
    """An object read in ranges: one that breaks off is asked for again, and its end is known."""

    def __init__(self, bucket: str, key: str) -> None:
        head = s3().head_object(Bucket=bucket, Key=key)
        self._size = int(head["ContentLength"])
        # One that is replaced meanwhile is an error, not a mixture.
        self._object = {"Bucket": bucket, "Key": key, "IfMatch": head["ETag"]}
        self._position = 0

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        part = s3().get_object(**self._object, Range=f"bytes={self._position}-{end - 1}")
        content = part["Body"].read()
        if len(content) != end - self._position:
            raise EOFError(
                tr("it ended after {position:,} bytes").format(
                    position=self._position + len(content)
                )
            )
        buffer[: len(content)] = content
        self._position = end
        return len(content)


@cache
def s3() -> Any:
    """The client for S3.

    Not pyarrow's: of an upload of which a part fails it publishes the other parts, or says nothing.
    """
    import boto3
    from botocore.config import Config

    endpoint = next((os.environ[each] for each in ENDPOINT_VARIABLES if os.environ.get(each)), "")
    if endpoint and "://" not in endpoint:
        endpoint = f"http://{endpoint}"
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    # Outside Amazon nobody answers there, and the question takes seconds.
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    # A session of its own: boto3's default one keeps the keys that it was first used with.
    return boto3.Session().client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=region or ("us-east-1" if endpoint else None),
        config=Config(
            connect_timeout=S3_SECONDS,
            read_timeout=S3_SECONDS,
            retries={"max_attempts": 2},
            # MinIO's S3 refuses the newer sums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def locate(address: str) -> Location:
    """Where an address points; nothing is asked of the file system yet.

    Raises:
        BadInput: it is neither a path nor an `s3://` address.
    """
    if address.startswith("s3://"):
        bucket, _, key = address.removeprefix("s3://").partition("/")
        if "@" in bucket or ":" in bucket:
            raise BadInput(
                "an s3:// address holds no keys; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, and write s3://bucket/key"
            )
        if not bucket:
            raise BadInput("{address}: name a bucket, s3://bucket/key", address=address)
        return Location(address, key.rstrip("/"), bucket)
    if "://" in address:
        raise BadInput(
            "{address}: only paths and s3:// addresses can be used",
            address=without_secrets(address),
        )
    return Location(address, os.path.abspath(os.path.expanduser(address)))


def input_files(address: str) -> list[Location]:
    """The file of this address, or every CSV and Parquet file in the folder of this address.

    Folders inside are looked into too; names that start with `.` or `_` do not count. Sorted.

    Raises:
        BadInput: there is nothing, or nothing that can be read.
    """
    location = locate(address)
    with readable(address):
        inside = _local_files(location) if location.is_local else _objects(location)
    if inside is None:
        raise BadInput(
            "input {address}: no such file or folder; check the address", address=address
        )
    if inside == [location.path]:
        return [location]
    scheme = "" if location.is_local else f"s3://{location.bucket}/"
    files = [
        Location(scheme + path, path, location.bucket)
        for path in sorted(inside)
        if _counts(path, location.path)
    ]
    if not files:
        raise BadInput("input {address}: no .csv or .parquet file in this folder", address=address)
    return files


def _local_files(location: Location) -> list[str] | None:
    """The file itself, or all files in the folder and below, once; None if there is neither."""
    if os.path.isfile(location.path):
        return [location.path]
    if not os.path.isdir(location.path):
        return None
    found: list[str] = []
    seen: set[str] = set()
    for folder, below, names in os.walk(location.path, onerror=_raise, followlinks=True):
        # A link may lead to a folder above it, or to one that is there already.
        below[:] = sorted(each for each in below if not each.startswith(HIDDEN))
        if (real := os.path.realpath(folder)) in seen:
            below.clear()
        else:
            seen.add(real)
            found += [os.path.join(folder, name) for name in names]
    return found


def _raise(error: OSError) -> None:
    raise error


def _objects(location: Location) -> list[str] | None:
    listing = s3().get_paginator("list_objects_v2")
    pages = listing.paginate(Bucket=location.bucket, Prefix=location.path)
    keys = [str(each["Key"]) for page in pages for each in page.get("Contents", [])]
    if location.path in keys:
        return [location.path]
    return [key for key in keys if PurePath(key).is_relative_to(location.path)] or None


def would_be_input(address: str, folder: str) -> bool:
    """Whether `input_files` of this folder finds a file of this address, once it is there."""
    file, inside = locate(address), locate(folder)
    if file.bucket != inside.bucket:
        return False
    if file.is_local:
        # A link to the folder is another way in.
        parent = Path(file.path).parent.resolve()
        return _counts(str(parent / Path(file.path).name), str(Path(inside.path).resolve()))
    return _counts(file.path, inside.path)


def _counts(path: str, folder: str) -> bool:
    if not PurePath(path).is_relative_to(folder):
        return False
    hidden = any(part.startswith(HIDDEN) for part in PurePath(path).relative_to(folder).parts)
    return not hidden and path.lower().endswith(CSV_ENDINGS + PARQUET_ENDINGS)


def readable(address: str) -> AbstractContextManager[None]:
    """What goes wrong inside is the input's fault: a BadInput in place of one of `ERRORS`."""
    return _in_place_of_errors(tr("input {address}: cannot be read").format(address=address))


def writable(address: str) -> AbstractContextManager[None]:
    """What goes wrong inside is the output's fault: a BadInput in place of one of `ERRORS`."""
    return _in_place_of_errors(tr("output {address}: cannot be written").format(address=address))


@contextmanager
def _in_place_of_errors(problem: str) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        # Of the wide encodings, in which a byte that does not fit spoils more than its row.
        raise BadInput(
            "{problem}: it is not of the encoding that was named ({reason}); name "
            "another with --encoding",
            problem=problem,
            reason=reason(error),
        ) from None
    except ERRORS as error:
        raise BadInput(f"{problem} ({reason(error)})") from None


def reason(error: Exception) -> str:
    """What an error says, in a few words."""
    if isinstance(error, OSError) and error.strerror and error.errno:
        return error.strerror
    if isinstance(error, ClientError):
        # The code, too: where an answer has no body, as for `head_object`, it is all there is.
        details = error.response.get("Error", {})
        return f"{details.get('Code')}: {details.get('Message')}"
    return in_one_line(error)
