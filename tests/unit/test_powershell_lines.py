"""What the pages give to type into PowerShell is PowerShell."""

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Parser

from tests.e2e import tutorial_text
from tests.support.commands import ROOT

DOCS = ROOT / "docs"
BLOCKS = [
    (page.name, block)
    for page in sorted(DOCS.rglob("*.md"))
    for block in tutorial_text.read(page).powershell
]


def is_powershell(block: str) -> bool:
    parser = Parser(Language(tree_sitter_powershell.language()))
    return not parser.parse(block.encode()).root_node.has_error


def test_both_tutorials_have_such_blocks() -> None:
    assert {"tutorial.md", "tutorial.pt-BR.md"} <= {page for page, _ in BLOCKS}


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_block_is_powershell(page: str, block: str) -> None:
    assert is_powershell(block), page


@pytest.mark.parametrize(
    "line", ["curl.exe -d 'boneca", "for n in 1 2; do echo $n; done", "curl.exe http://a | | b"]
)
def test_what_is_none_is_told(line: str) -> None:
    assert not is_powershell(line)
