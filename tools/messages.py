"""The catalog of what people are told: `make messages` after a change, `--check` in `make lint`.

Messages are what stands in `tr("…")` and `BadInput("…")`; their translations are written by hand
into the .po file, and the .mo file beside it is what programs read.
"""

import argparse
import ast
import re
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("trainer", "local")
PO = ROOT / "trainer" / "produtos" / "locale" / "pt" / "LC_MESSAGES" / "produtos.po"
TRANSLATED = ("tr", "BadInput")
FIELD = re.compile(r"\{[^{}]*\}|%\(\w+\)s")


def main() -> int:
    """Bring the catalog up to date, or see that it is; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, say what is wrong")
    check = parser.parse_args().check
    catalog = read_po(PO.open("rb"), locale="pt") if PO.exists() else Catalog("pt")
    catalog.update(extracted(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    # Nothing that changes with the day.
    catalog.creation_date = catalog.revision_date = datetime(2026, 11, 30, tzinfo=UTC)
    po, mo = BytesIO(), BytesIO()
    write_po(po, catalog, width=100, omit_header=False, no_location=True, sort_output=True)
    write_mo(mo, catalog)
    wrong = mistakes(catalog)
    files = {PO: po.getvalue(), PO.with_suffix(".mo"): mo.getvalue()}
    if check:
        for path, content in files.items():
            if not path.exists() or path.read_bytes() != content:
                wrong.append(f"{path.relative_to(ROOT)} is not up to date: make messages")
    else:
        PO.parent.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            path.write_bytes(content)
    for line in wrong:
        print(f"messages: {line}", file=sys.stderr)
    return 1 if wrong else 0


def extracted() -> Catalog:
    """Every message of the sources."""
    found = Catalog()
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")):
        # By Python's own reading: Babel's does not see what stands in an f-string.
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(ast.Name(name), [ast.Constant(str(message))]) if name in TRANSLATED:
                    found.add(message)
    return found


def mistakes(catalog: Catalog) -> list[str]:
    """What is missing, or would not be filled in as the message is."""
    wrong = []
    for message in catalog:
        if not message.id:
            continue
        said, translated = str(message.id), str(message.string or "")
        if not translated:
            wrong.append(f"not translated: {said!r}")
        elif sorted(FIELD.findall(said)) != sorted(FIELD.findall(translated)):
            wrong.append(f"other names in braces than in the message: {translated!r}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
