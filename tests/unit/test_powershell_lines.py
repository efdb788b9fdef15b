"""What the pages give to type into PowerShell is PowerShell."""

from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Parser

from tests.e2e import tutorial_text

DOCS = Path(__file__).resolve().parents[2] / "docs"
LINES = [
    (page.name, line)
    for page in sorted(DOCS.rglob("*.md"))
    for line in tutorial_text.read(page).blocks.get("powershell", [])
    if line.strip()
]


def is_powershell(line: str) -> bool:
    parser = Parser(Language(tree_sitter_powershell.language()))
    return not parser.parse(line.encode()).root_node.has_error


def test_both_tutorials_have_such_lines() -> None:
    assert {"tutorial.md", "tutorial.pt-BR.md"} <= {page for page, _ in LINES}


@pytest.mark.parametrize(("page", "line"), LINES)
def test_line_is_powershell(page: str, line: str) -> None:
    assert is_powershell(line), page


@pytest.mark.parametrize(
    "line", ["curl.exe -d 'boneca", "for n in 1 2; do echo $n; done", "curl.exe http://a | | b"]
)
def test_what_is_none_is_told(line: str) -> None:
    assert not is_powershell(line)
