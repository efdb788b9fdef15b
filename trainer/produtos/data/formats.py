"""Files that are no CSV in UTF-8 although they were given as such.

Read as CSV, each would be products made of gibberish.
"""

import codecs
import re
from itertools import groupby

from produtos.errors import BadInput
from produtos.language import tr

SAVE_AS_CSV = tr("save the sheet as CSV, UTF-8, and give that file")
WEB_PAGE = tr(
    "this is a web page, not a CSV; give the address of the file itself, or save what is a sheet "
    "in spite of it, as some .xls are, as CSV, UTF-8"
)

FIRST_BYTES = {
    rb"PK\x03\x04": tr("this is a zip file, as .xlsx and .ods are, not a CSV; {save}").format(
        save=SAVE_AS_CSV
    ),
    rb"\xd0\xcf\x11\xe0": tr("this is an .xls file, not a CSV; {save}").format(save=SAVE_AS_CSV),
    rb"PAR1": tr("this is a Parquet file; give a CSV file"),
    rb"\x1f\x8b": tr("this file is gzipped; unpack it, and give a CSV file"),
    rb"%PDF": tr("this is a PDF, not a CSV; save its table as CSV, UTF-8"),
    rb"<(!doctype|html|head|body|table|meta|style|!--)|mime-version:": WEB_PAGE,
    rb"<\?xml": tr("this is XML, as Excel 2003 saves a sheet, not a CSV; {save}").format(
        save=SAVE_AS_CSV
    ),
    rb'\{\s*"|\{\s*\}|\[\s*[\[{"\]]': tr(
        "this is JSON, not a CSV; write its records as rows of a CSV"
    ),
}
"""What is wrong with a file that begins so, and what to do."""

MARKS = {
    # UTF-32 first: its mark begins with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, and the encoding that each means."""

LOOKED_AT = 1000
"""How many of the first bytes tell what a file is."""

# Without those whose first half may well stand before the second: `AMANHÃ…`, `MAÇÃ` and a blank.
_LETTERS = "áâãäçéêíóôõúüñÇÃÉÊªº°’“"
_READ_AS = {
    letter.encode().decode(encoding): letter
    for encoding in ("cp1252", "mac_roman", "cp850")
    for letter in _LETTERS
}
# One pattern for each beginning: `re` looks for a literal one sixteen times as fast.
_ENCODED_TWICE = [
    re.compile("|".join(halves))
    for _, halves in groupby(sorted(_READ_AS), lambda halves: halves[0])
]


def not_csv(start: bytes) -> str | None:
    """What a file is that begins so, and what to do, when it is a known kind of no CSV."""
    bare = start[:LOOKED_AT].removeprefix(codecs.BOM_UTF8).lstrip()
    for first, message in FIRST_BYTES.items():
        if re.match(first, bare, re.IGNORECASE):
            return message
    return None


def wide_encoding(start: bytes) -> str | None:
    """`utf-16` or `utf-32` by the file's mark, or with `-le` or `-be` by its zero bytes."""
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return encoding
    looked_at = start[: LOOKED_AT - LOOKED_AT % 4]
    zeros = [looked_at[index::4].count(0) for index in range(4)]
    if not looked_at or sum(zeros) * 4 < len(looked_at):
        return None
    # Of the four bytes of a plain letter three are zero in UTF-32, every second one in UTF-16.
    width = "32" if min(zeros[1], zeros[2]) else "16"
    return f"utf-{width}-{'be' if zeros[0] > zeros[3] else 'le'}"


def encoded_twice(text: str) -> re.Match[str] | None:
    """The first letter that was written in UTF-8, read as something else, and written again."""
    found = [match for pattern in _ENCODED_TWICE if (match := pattern.search(text))]
    return min(found, key=re.Match.start, default=None)


def decode(content: bytes) -> str:
    """The text of a whole file.

    Raises:
        BadInput: it is no CSV in UTF-8, or was encoded twice.
    """
    if message := not_csv(content):
        raise BadInput(message)
    if encoding := wide_encoding(content):
        raise BadInput(
            "this is {upper}, which Excel calls Unicode text; {save}",
            upper=encoding[:6].upper(),
            save=SAVE_AS_CSV,
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadInput(_not_utf_8(content, error.start)) from None
    if found := encoded_twice(text):
        raise BadInput(
            "text encoded twice at line {line} ({found!r} for {once!r}): it was UTF-8 "
            "and was read as something else; export it again, opened as UTF-8",
            line=len(text[: found.end()].encode().splitlines()),
            found=found[0],
            once=_READ_AS[found[0]],
        )
    return text


def _not_utf_8(content: bytes, start: int) -> str:
    bad = [line for line in content.splitlines() if line != line.decode(errors="ignore").encode()]
    others = sum(not line.isascii() for line in content.splitlines()) - len(bad)
    line = len(content[: start + 1].splitlines())
    read_as = bad[0].decode("cp1252", "replace").strip()[:60]
    do = tr("save the file as UTF-8")
    if others > len(bad):
        do = tr("write this line{more} again, as UTF-8").format(
            more=tr(" and {bad} more").format(bad=len(bad) - 1) if bad[1:] else ""
        )
    return tr(
        "not UTF-8 at line {line}, byte offset {start} (0x{content:02x}; in "
        "Windows-1252 the line is {read_as!r}); {do}"
    ).format(line=line, start=start, content=content[start], read_as=read_as, do=do)
