"""text/csv that is plainly the text of one product: the case that has to be quick.

A few microseconds, where `csv.read` takes some dozens. Whatever may be more than a text is left to
that, and now and then a text.
"""

import re

from hotserve.inputs.columns import KNOWN_COLUMNS

_ODD_LETTER = r"[^\W\x00-\x7f]"
_GAP = r"[^\w;,|]*"
_INITIALS = "".join({name[0] for name in KNOWN_COLUMNS})
_NAME = (
    rf"{_GAP}(?=[{_INITIALS}{_INITIALS.upper()}]|{_ODD_LETTER})(?i:"
    + "|".join(_GAP.join(f"(?:{each}|{_ODD_LETTER})" for each in name) for name in KNOWN_COLUMNS)
    + ")"
)
_begins_oddly = re.compile(rf"\s*(?:[<{{\[\ufeff]|PK\x03|\"?(?i:sep)=)|{_NAME}").match
_names_a_column = re.compile(rf"[;,\t|]{_NAME}").search


def single_text(body: bytes) -> str | None:
    """The text, if `csv.read` would find just that; None where it has to look."""
    if body[-1:] == b"\n":
        body = body[:-2] if body[-2:] == b"\r\n" else body[:-1]
    if b'"' in body or b"\n" in body or b"\r" in body or b"\0" in body:
        return None
    if b"\xc3\x82" in body or b"\xc3\x83" in body:  # it may be encoded twice
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if _begins_oddly(text) or _names_a_column(text) or not text.strip() else text
