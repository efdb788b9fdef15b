"""Files that are no CSV although they were given as such: told by their names or first bytes.

Read as CSV, each would be products made of gibberish.
"""

import codecs
from pathlib import PurePosixPath

from produtos.data.formats import SAVE_AS_CSV, not_csv, wide_encoding
from produtos.errors import BadInput
from produtos.io.storage import CSV_ENDINGS, PARQUET_ENDINGS
from produtos.language import tr

SPREADSHEETS = (".xlsx", ".xls", ".ods")

FIRST_BYTES = {
    b"PAR1": tr("this is a Parquet file; end its name in .parquet"),
    b"\x1f\x8b": tr("this file is gzipped; end its name in .gz"),
}
"""What is wrong with a file that begins so, and what to do."""


def check_name(path: str, address: str) -> None:
    """See that a file's name ends as one of a table does, or has no ending.

    Raises:
        BadInput: it ends in another way.
    """
    ending = PurePosixPath(path).suffix
    known = CSV_ENDINGS + PARQUET_ENDINGS
    if ending.lower() in SPREADSHEETS:
        raise BadInput(
            "input {address}: this is a spreadsheet, not a CSV; {save}",
            address=address,
            save=SAVE_AS_CSV,
        )
    if ending and not path.lower().endswith(known):
        raise BadInput(
            "input {address}: a file that ends in {ending} is not read; give one that "
            "ends in {known} or {known2}",
            address=address,
            ending=ending,
            known=", ".join(known[:-1]),
            known2=known[-1],
        )


def check_first_bytes(first: bytes, encoding: str, address: str) -> None:
    """See that a file does not begin as one that is no CSV, or one of another encoding.

    Raises:
        BadInput: it does.
    """
    other = (message for start, message in FIRST_BYTES.items() if first.startswith(start))
    if kind := next(other, None) or not_csv(first):
        raise BadInput("input {address}: {kind}", address=address, kind=kind)
    named = codecs.lookup(encoding).name.removesuffix("-sig")
    found = "utf-8" if first.startswith(codecs.BOM_UTF8) else wide_encoding(first) or named
    # Without a mark, UTF-16 and UTF-32 are read as the little-endian ones.
    if not named.startswith(found) and found != f"{named}-le":
        raise BadInput(
            "input {address}: begins as {upper} does and cannot be read as {named}; say "
            "--encoding {found}",
            address=address,
            upper=found.upper(),
            named=named,
            found=found,
        )
