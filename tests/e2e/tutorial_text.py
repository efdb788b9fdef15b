"""A tutorial's page as a list of what a reader does: commands, and steps in the web page."""

import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE_STEP = re.compile(r"<!-- page: (\w+) -->")
TIME = re.compile(r"\d+(?:\\\.\d+)?(?=\\ s\b)")
FIGURE = re.compile(r"\d+\\\.\d+")
TOLERANCE = 0.02
"""How far a figure may lie from the one in the page: other machines add up in another order."""


@dataclass(frozen=True)
class Command:
    """One command, on one or more lines, and the lines that the page shows below it."""

    text: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageStep:
    """What is done in the web page, by the name of the test's function for it."""

    name: str


@dataclass
class Section:
    """A chapter of the page, from one heading to the next."""

    heading: str
    steps: list[Command | PageStep] = field(default_factory=list)


@dataclass
class Tutorial:
    """What a reader of one page does, in order.

    Attributes:
        sections: by heading, with the commands of ```console blocks and the page's steps.
        blocks: the lines of all other code blocks, by their language.
        pictures: their addresses, as the page writes them.
    """

    sections: list[Section] = field(default_factory=list)
    blocks: dict[str, list[str]] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)

    def steps(self) -> list[Command | PageStep]:
        """All steps, in order."""
        return [step for section in self.sections for step in section.steps]


def read(page: Path) -> Tutorial:
    """Read a page written in Markdown."""
    tutorial = Tutorial()
    language, block = None, list[str]()
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            if language is None:
                language, block = line.removeprefix("```"), []
            else:
                if language == "console":
                    tutorial.sections[-1].steps += _commands(block)
                else:
                    tutorial.blocks.setdefault(language, []).extend(block)
                language = None
        elif language is not None:
            block.append(line)
        elif line.startswith("## "):
            tutorial.sections.append(Section(line.removeprefix("## ")))
        elif step := PAGE_STEP.fullmatch(line):
            tutorial.sections[-1].steps.append(PageStep(step[1]))
        tutorial.pictures += re.findall(r"!\[[^]]*\]\(([^)]+)\)", line if not language else "")
    return tutorial


def _commands(block: list[str]) -> list[Command]:
    commands: list[tuple[list[str], list[str]]] = []
    for line in block:
        if line.startswith("$ "):
            commands.append(([line.removeprefix("$ ")], []))
        elif line.startswith("> "):
            commands[-1][0].append(line.removeprefix("> "))
        else:
            commands[-1][1].append(line)
    return [Command("\n".join(typed), tuple(shown)) for typed, shown in commands]


def missing_line(shown: tuple[str, ...], printed: str) -> str | None:
    """The first line of the page that was not printed, in order; None if all were.

    `…` in the page stands for anything, a time in seconds for any other, and a figure with
    decimals for one that is `TOLERANCE` away at most.
    """
    there = iter(printed.splitlines())
    for line in shown:
        if line.strip() != "…" and not any(_alike(line, other) for other in there):
            return line
    return None


def _alike(shown: str, printed: str) -> bool:
    pattern = TIME.sub(r"[\\d.]+", re.escape(shown.rstrip()).replace("…", ".*"))
    pattern = FIGURE.sub(r"(\\d+\\.\\d+)", pattern)
    found = re.fullmatch(pattern, printed.rstrip())
    figures = re.findall(r"\d+\.\d+(?! s\b)", shown)
    return found is not None and all(
        abs(float(one) - float(other)) <= TOLERANCE
        for one, other in zip(figures, found.groups(), strict=True)
    )
