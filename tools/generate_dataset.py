"""Write `trainer/produtos.csv`, the data set that ships, from the word lists in `dataset_source/`.

    python tools/generate_dataset.py            writes the file again, byte for byte
    python tools/generate_dataset.py --check    exit code 1 if the file differs from that

Standard library only. The data card is docs/dataset.md.
"""

import argparse
import csv
import io
import sys
from pathlib import Path
from random import Random

from dataset_source.listings import CATEGORIES, Listing, write_listings

PATH = Path(__file__).resolve().parents[1] / "trainer" / "produtos.csv"
HEADER = ("nome", "descricao", "categoria")
SEED = "produtos"
LISTINGS_PER_CATEGORY = 1060
DUPLICATES = 180


def make_listings() -> list[Listing]:
    """All rows in the order of the file: the categories mixed, the duplicates anywhere."""
    listings = [
        listing
        for category in CATEGORIES
        for listing in write_listings(category, LISTINGS_PER_CATEGORY, SEED)
    ]
    rng = Random(f"{SEED}/order")
    # With replacement: some products stand in the table three times, as in a real one.
    listings += rng.choices(listings, k=DUPLICATES)
    rng.shuffle(listings)
    return listings


def make_file() -> bytes:
    """The whole file: UTF-8, `;` between fields, `"` only around fields that need it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((row.name, row.description, row.category) for row in make_listings())
    return text.getvalue().encode("utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write trainer/produtos.csv again.")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    options = parser.parse_args(arguments)
    content = make_file()
    if not options.check:
        try:
            PATH.write_bytes(content)
        except OSError as error:
            print(f"cannot write {PATH}: {error.strerror}", file=sys.stderr)
            return 2
        print(f"{PATH}: {len(content):,} bytes")
        return 0
    if not PATH.exists() or PATH.read_bytes() != content:
        print(
            f"{PATH} is not what the generator makes: run python tools/generate_dataset.py",
            file=sys.stderr,
        )
        return 1
    print(f"{PATH} is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
