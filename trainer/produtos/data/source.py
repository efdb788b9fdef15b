"""Fetching a data set, from a file or over HTTP, without trusting its size."""

import os
import socket
import time
import zlib
from base64 import b64encode
from gzip import GzipFile
from http.client import OK, HTTPException, HTTPResponse, IncompleteRead, InvalidURL, responses
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import Request, build_opener, getproxies, proxy_bypass

from produtos.data.formats import WEB_PAGE, not_csv
from produtos.errors import BadInput, without_secrets
from produtos.language import tr

SHIPPED = Path(__file__).resolve().parents[2] / "produtos.csv"
SHIPPED_NAME = "produtos.csv"
"""What stands for the shipped file where a path is asked for."""

LARGEST = 200_000_000
"""Bytes. Some fifty times the shipped file; more is a mistake, or is to be read in blocks."""

HTTP_TIMEOUT = 10.0
"""Seconds without a byte before a server is given up."""

LONGEST_DOWNLOAD = 300.0
"""Seconds for the whole of a download: a server may send a byte now and then for ever."""

MEANINGS = {
    TimeoutError: tr("the server stopped sending; try again"),
    IncompleteRead: tr("the server stopped in the middle of the file; try again"),
    InvalidURL: tr("this is no address that can be fetched"),
    socket.gaierror: tr("the name of its server is not found, or there is no network"),
    ConnectionRefusedError: tr("no server answers there (connection refused)"),
}
"""What is said of an error in place of its own words."""


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
        # A secret need not be typed where others see it: https://host/x.csv?token=$TOKEN.
        return os.path.expandvars(source)
    if "://" in source:
        raise BadInput(
            "dataset {address}: only paths and http(s) addresses can be read",
            address=without_secrets(source),
        )
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
        raise BadInput(
            "more than {LARGEST:,} bytes; give a smaller file, or train on it in blocks: "
            "train.py --streaming",
            LARGEST=LARGEST,
        )
    return content


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except FileNotFoundError:
        raise BadInput("no such file; give the path of a CSV file, or an http(s) address") from None
    except IsADirectoryError:
        raise BadInput("this is a folder; give the path of a CSV file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput("cannot be read ({reason})", reason=reason) from None


def _download(url: str) -> bytes:
    try:
        request = _request(url)
    except ValueError:
        raise BadInput(
            "this is no address that can be fetched; check it, and write blanks as %20"
        ) from None
    try:
        with build_opener().open(request, timeout=HTTP_TIMEOUT) as response:
            content = _receive(response)
            moved_to = response.url if response.url != request.full_url else None
    except (OSError, HTTPException) as error:
        proxy = proxy_of(url)
        by = tr(" and the proxy, {proxy}").format(proxy=proxy) if proxy else ""
        raise BadInput("{reason}; check the address{by}", reason=_reason(error), by=by) from None
    if moved_to and not_csv(content) == WEB_PAGE:
        raise BadInput(
            "the server led to {address}, which is a web page, perhaps to log "
            "in; give an address that leads to the file itself",
            address=without_secrets(moved_to),
        )
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return (
            tr("the server answered {code} {get}")
            .format(code=error.code, get=responses.get(error.code, ""))
            .rstrip()
        )
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError) and cause is not error:
        return tr("no server answers there in time")
    known = (meaning for kind, meaning in MEANINGS.items() if isinstance(cause, kind))
    return next(known, str(cause) or type(cause).__name__)


def _request(url: str) -> Request:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    request = Request(
        urlunsplit(parts._replace(netloc=host, fragment="")),
        headers={"User-Agent": "classificador-produtos"},
    )
    if user:
        # Unredirected: the password is for this server, not for one that it leads to.
        token = b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _receive(response: HTTPResponse) -> bytes:
    """The whole of an answer, or an error: what was cut off must not pass for a data set."""
    if response.status != OK:
        raise BadInput(
            "the server answered {status} {reason}, not with the whole file; check the address",
            status=response.status,
            reason=response.reason,
        )
    length = response.length
    content = bytearray()
    deadline = time.monotonic() + LONGEST_DOWNLOAD
    while len(content) <= LARGEST and (chunk := response.read1(1 << 20)):
        content += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
    if length is not None and len(content) < min(length, LARGEST + 1):
        raise BadInput(
            "the server sent {content:,} of {length:,} bytes; try again",
            content=len(content),
            length=length,
        )
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding == "gzip":
        try:
            return GzipFile(fileobj=BytesIO(content)).read(LARGEST + 1)
        except (EOFError, OSError, zlib.error):
            raise BadInput(
                "the server sent {content:,} bytes of gzip that do not end as gzip does; try again",
                content=len(content),
            ) from None
    if encoding != "identity":
        raise BadInput(
            "the server sent the file compressed ({encoding}); give another address",
            encoding=encoding,
        )
    return bytes(content)


def proxy_of(url: str) -> str | None:
    """The proxy on the way to an address, without its password, if the environment names one."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return without_secrets(proxy)
