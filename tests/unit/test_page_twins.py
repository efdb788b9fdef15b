"""A page and its Portuguese twin: the same headings, figures, commands, pictures, addresses."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e import tutorial_text
from tests.support.commands import ROOT

ALONE = [ROOT / "docs" / "slides.pt-BR.md"]
"""What is shown in class, in Portuguese only."""

PAGES = [*ROOT.glob("*.pt-BR.md"), *(ROOT / "docs").rglob("*.pt-BR.md")]
PORTUGUESE = sorted(page for page in PAGES if page not in ALONE)
STUDENTS = [
    "tutorial",
    "exercises",
    "what-changed",
    "promotion",
    "batch",
    "page",
    "notebook/README",
]
"""What a student opens from the README."""

BLOCK = re.compile(r"^```(\w*)\n.*?^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)]+)\)")


def english(page: Path) -> Path:
    return page.with_name(page.name.replace(".pt-BR", ""))


def told(page: Path) -> dict[str, object]:
    """What has to be the same in both languages."""
    text = page.read_text(encoding="utf-8")
    prose = BLOCK.sub("", text)
    addresses = [address.replace(".pt-BR", "") for address in LINK.findall(prose)]
    return {
        "headings": [len(marks) for marks in re.findall(r"^(#+) ", prose, re.M)],
        "rows of tables": len(re.findall(r"^\|", prose, re.M)),
        "pictures": re.findall(r"images/[\w-]+\.png", prose),
        "blocks": BLOCK.findall(text),
        "commands": commands(page),
        "outside addresses": Counter(a for a in addresses if a.startswith("http")),
        "figures": Counter(figures(LINK.sub("]", prose))),
    }


def commands(page: Path) -> list[str]:
    tutorial = tutorial_text.read(page)
    typed = [s.text for s in tutorial.steps() if isinstance(s, tutorial_text.Command)]
    # But for their comments.
    return [
        re.sub(r"\s+# .*", "", block) for block in (*typed, *tutorial.powershell, *tutorial.instead)
    ]


def figures(prose: str) -> list[str]:
    """Numbers, in whatever way a language writes them."""
    return [re.sub(r"[.,]", "", number) for number in re.findall(r"\d[\d.,]*\d|\d", prose)]


@pytest.mark.parametrize("page", PORTUGUESE, ids=lambda page: page.name)
def test_twins_tell_the_same(page: Path) -> None:
    here, there = told(page), told(english(page))
    for what, portuguese in here.items():
        assert portuguese == there[what], what


@pytest.mark.parametrize("page", PORTUGUESE, ids=lambda page: page.name)
def test_twins_lead_to_each_other(page: Path) -> None:
    assert f"[English]({english(page).name})" in page.read_text("utf-8")
    assert f"({page.name})" in english(page).read_text("utf-8")


@pytest.mark.parametrize("page", PORTUGUESE, ids=lambda page: page.name)
def test_portuguese_pages_lead_to_portuguese_pages(page: Path) -> None:
    for address in LINK.findall(page.read_text("utf-8")):
        file = page.parent / address.partition("#")[0]
        if address.startswith("http") or file.suffix != ".md" or ".pt-BR" in file.name:
            continue
        twin = file.with_name(f"{file.stem}.pt-BR.md")
        assert not twin.exists() or file == english(page), address


@pytest.mark.parametrize("name", STUDENTS)
def test_what_a_student_opens_is_there_in_portuguese(name: str) -> None:
    assert (ROOT / "docs" / f"{name}.pt-BR.md") in PORTUGUESE
