"""The slides: what they show is there, and what they give to type is what the tutorial gives."""

import re
from pathlib import Path

import pytest

from tests.e2e import tutorial_text
from tests.e2e.tutorial_text import Command
from tests.support.commands import ROOT

DOCS = ROOT / "docs"
SLIDES = DOCS / "slides.pt-BR.md"


def typed(page: Path) -> set[str]:
    steps = tutorial_text.read(page).steps()
    blocks = [step.text for step in steps if isinstance(step, Command)]
    others = tutorial_text.read(page).instead
    whole = [re.sub(r" \\\n\s*", " ", block) for block in (*blocks, *others)]
    return {line.strip() for block in whole for line in block.splitlines()}


def slides() -> list[str]:
    _, _, text = SLIDES.read_text("utf-8").removeprefix("---\n").partition("\n---\n")
    return re.split(r"^---$", text, flags=re.M)


def test_they_are_an_hours_worth() -> None:
    assert 20 <= len(slides()) <= 25


@pytest.mark.parametrize("slide", slides(), ids=lambda slide: slide.strip().splitlines()[0])
def test_a_slide_has_a_heading_and_room(slide: str) -> None:
    lines = slide.strip().splitlines()
    assert re.match("##? ", lines[0])
    # More would run out of it below.
    assert len(lines) <= 20


def test_pictures_and_pages_are_there() -> None:
    addresses = re.findall(r"\]\(([^)]+)\)", SLIDES.read_text("utf-8"))
    assert sum(address.startswith("images/") for address in addresses) >= 6
    for address in addresses:
        assert (DOCS / address).is_file(), address


def test_commands_are_those_of_the_pages() -> None:
    pages = ("tutorial.pt-BR.md", "promotion.pt-BR.md", "exercises.pt-BR.md")
    known = set[str]().union(*(typed(DOCS / page) for page in pages))
    assert typed(SLIDES) <= known
