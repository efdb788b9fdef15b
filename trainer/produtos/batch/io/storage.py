"""Files by address: a path of this machine, or `s3://bucket/key`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from produtos.errors import BadInput

CSV_ENDINGS = (".csv", ".csv.gz", ".txt", ".txt.gz", ".tsv", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")

ENDPOINT_VARIABLES = (
    "AWS_ENDPOINT_URL_S3",
    "MLFLOW_S3_ENDPOINT_URL",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
)
"""The first one that is set says where S3 is; none of them means Amazon's."""

S3_SECONDS = 10.0
"""For a connection; a bucket that does not answer must not hold a job up for minutes."""


@dataclass(frozen=True)
class Location:
    """A file or a folder.

    Attributes:
        filesystem: that it is on.
        path: within the file system.
        address: as a user writes it.
    """

    filesystem: fs.FileSystem
    path: str
    address: str

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def is_parquet(self) -> bool:
        """Whether its name says that it is a Parquet file."""
        return self.path.lower().endswith(PARQUET_ENDINGS)


def locate(address: str) -> Location:
    """Where an address points; nothing is asked of the file system yet.

    Raises:
        BadInput: it is neither a path nor an `s3://` address.
    """
    if address.startswith("s3://"):
        path = address.removeprefix("s3://").rstrip("/")
        if not path:
            raise BadInput(f"{address}: name a bucket, s3://bucket/key")
        return Location(_s3(), path, address)
    if "://" in address:
        raise BadInput(f"{address}: only paths and s3:// addresses can be read or written here")
    path = os.path.abspath(os.path.expanduser(address))
    return Location(fs.LocalFileSystem(), path, address)


def _endpoint() -> str:
    """The S3 server's address with its scheme, or nothing for Amazon's."""
    said = next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), "")
    return said if not said or "://" in said else f"http://{said}"


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


@cache
def _s3() -> fs.S3FileSystem:
    endpoint, region = _endpoint(), _region()
    # Outside Amazon nobody answers there, and the question takes seconds.
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    options = {
        "connect_timeout": S3_SECONDS,
        "request_timeout": S3_SECONDS,
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=2),
    }
    if not endpoint:
        return fs.S3FileSystem(region=region, **options)
    parts = urlsplit(endpoint)
    return fs.S3FileSystem(
        endpoint_override=parts.netloc,
        scheme=parts.scheme,
        region=region or "us-east-1",
        **options,
    )


def input_files(address: str) -> list[Location]:
    """The file of this address, or every CSV and Parquet file in the folder of this address.

    Folders inside are looked into too; names that start with `.` or `_` do not count. Sorted.

    Raises:
        BadInput: there is nothing, or nothing that can be read.
    """
    place = locate(address)
    with readable(address):
        info = place.filesystem.get_file_info(place.path)
        if info.type == fs.FileType.NotFound:
            raise BadInput(f"input {address}: no such file or folder; check the address")
        if info.type == fs.FileType.File:
            return [place]
        inside = place.filesystem.get_file_info(fs.FileSelector(place.path, recursive=True))
    files = [
        _beside(place, each.path)
        for each in sorted(inside, key=lambda each: str(each.path))
        if each.type == fs.FileType.File and _counts(each.path, place.path)
    ]
    if not files:
        raise BadInput(f"input {address}: no .csv or .parquet file in this folder")
    return files


def would_be_input(address: str, folder: str) -> bool:
    """Whether `input_files` of this folder finds a file of this address, once it is there."""
    file, place = locate(address), locate(folder)
    if file.is_local != place.is_local:
        return False
    if file.is_local:
        # A link to the folder is another way in.
        parent = Path(file.path).parent.resolve()
        return _counts(str(parent / Path(file.path).name), str(Path(place.path).resolve()))
    return _counts(file.path, place.path)


def _counts(path: str, folder: str) -> bool:
    if not PurePath(path).is_relative_to(folder):
        return False
    hidden = any(part.startswith((".", "_")) for part in PurePath(path).relative_to(folder).parts)
    return not hidden and path.lower().endswith(CSV_ENDINGS + PARQUET_ENDINGS)


def _beside(folder: Location, path: str) -> Location:
    if folder.is_local:
        return Location(folder.filesystem, path, path)
    return Location(folder.filesystem, path, f"s3://{path}")


@contextmanager
def readable(address: str) -> Iterator[None]:
    """What goes wrong inside is the input's fault.

    Raises:
        BadInput: instead of the errors of pyarrow and the operating system.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"input {address}: cannot be read ({reason(error)})") from None
    except UnicodeError as error:
        # Of the wide encodings, in which a byte that does not fit spoils more than its row.
        said = f"it is not of the encoding that was named ({reason(error)})"
        raise BadInput(f"input {address}: {said}; name another with --encoding") from None


@contextmanager
def writable(address: str) -> Iterator[None]:
    """What goes wrong inside is the output's fault.

    Raises:
        BadInput: instead of the errors of pyarrow and the operating system.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"output {address}: cannot be written ({reason(error)})") from None


def reason(error: Exception) -> str:
    """What an error says, in a few words."""
    if isinstance(error, OSError) and error.strerror and error.errno:
        return error.strerror
    said = " ".join(str(error).split())
    # The AWS library's own words come last and say the most.
    return said.rsplit("AWS Error ", 1)[-1][:200] or type(error).__name__


def copy_up(source: Path, target: Location) -> None:
    """Copy a finished file of this machine to S3; an object is there in whole or not at all.

    Not by pyarrow, whose uploads MinIO's S3 refuses (411, no Content-Length), and which does not
    say so.

    Raises:
        BadInput: the bucket does not take it.
    """
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    endpoint, region = _endpoint(), _region()
    bucket, _, key = target.path.partition("/")
    try:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=region or ("us-east-1" if endpoint else None),
            config=Config(
                connect_timeout=S3_SECONDS,
                retries={"max_attempts": 2},
                request_checksum_calculation="when_required",
            ),
        )
        client.upload_file(str(source), bucket, key)
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise BadInput(f"output {target.address}: cannot be written ({reason(error)})") from None
