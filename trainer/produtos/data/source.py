"""Fetching a data set, from a file or over HTTP, without trusting its size."""

import re
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from produtos.errors import BadInput

SHIPPED = Path(__file__).resolve().parents[2] / "produtos.csv"
SHIPPED_NAME = "produtos.csv"
"""What stands for the shipped file where a path is asked for."""

LARGEST = 200_000_000
"""Bytes. Some fifty times the shipped file; more is a mistake, or a job for another tool."""

HTTP_TIMEOUT = 10.0
"""Seconds without a byte before a server is given up."""

LONGEST_DOWNLOAD = 300.0
"""Seconds for the whole of a download: a server may send a byte now and then for ever."""


_USER = re.compile(r"^([\w+.-]+://)(?:[^/?#]*@|[^/?#@:]*:(?!\d*(?:[/?#]|$)).*@)?")
"""What stands before the host; also of an address that has a `/` in its password."""


def without_secrets(address: str) -> str:
    """An address as it may be recorded and shown.

    Without user and password, and with the names in its query only: any value may be a token or a
    signature.
    """
    if "://" not in address:
        return address
    address, *query = re.split("[?#]", _USER.sub(r"\1", address), maxsplit=1)
    if not query:
        return address
    names = re.findall(r"(?:^|&)([^=&#]+)=", query[0])
    return f"{address}?{'&'.join(f'{name}=…' for name in names) or '…'}"


def is_url(source: str) -> bool:
    """Whether `source` is an http(s) address rather than a path."""
    return source.lower().startswith(("http://", "https://"))


def location(source: str | None) -> str:
    """Where the data set really is: an http(s) address, or an absolute path.

    Nothing, or the shipped file's own name where there is no such file, is the shipped one.

    Raises:
        BadInput: it is an address of another kind.
    """
    if not source:
        return str(SHIPPED)
    if is_url(source):
        return source
    if "://" in source:
        raise BadInput(f"dataset {source}: only paths and http(s) addresses can be read")
    path = Path(source).expanduser()
    if source == SHIPPED_NAME and not path.exists():
        return str(SHIPPED)
    return str(path.absolute())


def read_bytes(where: str) -> bytes:
    """The content of a data set.

    Args:
        where: what `location` gave.

    Raises:
        BadInput: it is not there, cannot be read, or is larger than `LARGEST`.
    """
    content = _download(where) if is_url(where) else _read_file(Path(where))
    if len(content) > LARGEST:
        raise BadInput(f"dataset {where}: more than {LARGEST:,} bytes; give a smaller file")
    return content


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except FileNotFoundError:
        raise BadInput(
            f"dataset {path}: no such file; give the path of a CSV file, or an http(s) address"
        ) from None
    except IsADirectoryError:
        raise BadInput(f"dataset {path}: this is a folder; give the path of a CSV file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"dataset {path}: cannot be read ({reason})") from None


def _download(url: str) -> bytes:
    try:
        request = Request(url, headers={"User-Agent": "classificador-produtos"})
        with urlopen(request, timeout=HTTP_TIMEOUT) as answer:
            content = bytearray()
            deadline = time.monotonic() + LONGEST_DOWNLOAD
            while len(content) <= LARGEST and (chunk := answer.read1(1 << 20)):
                content += chunk
                if time.monotonic() > deadline:
                    raise TimeoutError
            return bytes(content)
    except HTTPError as error:
        raise BadInput(
            f"dataset {url}: the server answered {error.code} {error.reason}; check the address"
        ) from None
    except TimeoutError:
        raise BadInput(
            f"dataset {url}: the server stopped sending; check the address, or try again"
        ) from None
    except URLError as error:
        raise BadInput(f"dataset {url}: {error.reason}; check the address") from None
    except ValueError as error:
        raise BadInput(f"dataset {url}: {error}; check the address") from None
    except (OSError, HTTPException) as error:
        raise BadInput(f"dataset {url}: {error or type(error).__name__}") from None
