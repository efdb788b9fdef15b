"""Bodies that are no text in UTF-8, or no table: named, with what to do."""

import re

LINE_END = re.compile(r"\r\n|\n|\r")
_SAVE = "save the table as CSV in UTF-8 and send that"
_BINARY = {
    b"PK\x03\x04": f"the body is a zip file, as .xlsx and .ods are, not CSV; {_SAVE}",
    b"\xd0\xcf\x11\xe0": f"the body is an .xls file, not CSV; {_SAVE}",
    b"\x1f\x8b": "the body is gzipped; send what is in it",
}
_WEB_PAGE = re.compile(r"[\s\ufeff]*<(?:!doctype\s+html|html|\?xml)\b", re.IGNORECASE)
_JSON = re.compile(r'[\s\ufeff]*(?:\{\s*"|\[\s*[\[{"])')
# `ã` in UTF-8, read as Windows-1252 and written in UTF-8 again, is `Ã£`. Left out are pairs that
# a word in capitals can end in: `MAÇÃ”`.
_ENCODED_TWICE = re.compile(
    "Ã[\x80-\x9f£§©¡ª³µº¢´¼±\u00adƒ‡‰]|Â[\x80-\x9fºª°®´]",
)


class CsvError(ValueError):
    """The body can't be read as products; the text says where and why."""


def decode(body: bytes) -> str:
    """The text of a body.

    Raises:
        CsvError: it is in another encoding, was encoded twice, or is no table.
    """
    # The head of an .xls file has zeros as UTF-32 has.
    for start, message in _BINARY.items():
        if body.startswith(start):
            raise CsvError(message)
    if encoding := _wide_encoding(body):
        raise CsvError(f"the body is {encoding}, not UTF-8; {_SAVE}")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        line = line_number(body[: error.start].decode(), error.start)
        raise CsvError(
            f"line {line} is not UTF-8: byte {error.start} is "
            f"{body[error.start]:#04x}, in Windows-1252 "
            f"{body[error.start : error.start + 1].decode('cp1252', 'replace')!r}; {_SAVE}"
        ) from None
    # Most bodies are spared a search of their text.
    if (b"\xc3\x83" in body or b"\xc3\x82" in body) and (twice := _ENCODED_TWICE.search(text)):
        raise CsvError(
            f"line {line_number(text, twice.start())} was encoded twice: it has {twice[0]!r} "
            "for one letter with an accent; read the file as UTF-8, and save it again"
        )
    _check_kind(text)
    return text


def _wide_encoding(body: bytes) -> str | None:
    if body.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    # Without a mark: all but a few letters have zeros around them.
    start = body[: min(len(body), 64) // 4 * 4]
    zeros = [start[offset::4].count(0) > len(start) // 6 for offset in range(4)]
    if sum(zeros) == 3:
        return "UTF-32"
    return "UTF-16" if zeros in ([True, False] * 2, [False, True] * 2) else None


def _check_kind(text: str) -> None:
    if _WEB_PAGE.match(text) and "</" in text:
        raise CsvError("the body is a web page, not CSV; send the table itself")
    if _JSON.match(text) and text.rstrip()[-1] in "]}":
        raise CsvError("the body is JSON; send it with Content-Type: application/json")


def line_number(text: str, position: int) -> int:
    """The number of the line that a position is in."""
    return len(LINE_END.findall(text, 0, position)) + 1
