"""A tutorial's page as a list of what a reader does: blocks to paste, and steps in the web page."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

PAGE_STEP = re.compile(r"<!-- page: (\w+) -->")
EXIT_CODE = re.compile(r"<!-- exit code: (\d+) -->")
INSTEAD = "<!-- instead -->"
TIME = re.compile(r"\d+(?:\\\.\d+)?(?=\\ s\b)")
FIGURE = re.compile(r"\d+\\\.\d+")
TOLERANCE = 0.02
"""How far a figure may lie from the one in the page: other machines add up in another order."""


@dataclass(frozen=True)
class Command:
    """A block that is pasted into a terminal.

    Attributes:
        text: its lines, for a shell of Linux.
        shown: what the page shows as the answer.
        powershell: the block beside it, for PowerShell.
        code: the exit code that the page announces.
    """

    text: str
    shown: tuple[str, ...] = ()
    powershell: str = ""
    code: int = 0


@dataclass(frozen=True)
class Program:
    """A file that the reader writes; its first line is a comment with its name."""

    name: str
    text: str


@dataclass(frozen=True)
class PageStep:
    """What is done in the web page, by the name of the test's function for it."""

    name: str


Step = Command | Program | PageStep


@dataclass
class Section:
    """A chapter of the page, from one heading to the next."""

    heading: str
    steps: list[Step] = field(default_factory=list)


@dataclass
class Tutorial:
    """What a reader of one page does, in order.

    Attributes:
        sections: by heading; what comes before the first one is a section without a heading.
        instead: blocks for who takes another way than the one that the page goes.
        blocks: all other code blocks, by their language.
        powershell: every block for PowerShell.
        pictures: their addresses, as the page writes them.
    """

    sections: list[Section] = field(default_factory=lambda: [Section("")])
    instead: list[str] = field(default_factory=list)
    blocks: dict[str, list[str]] = field(default_factory=dict)
    powershell: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)

    def steps(self) -> list[Step]:
        """All steps, in order."""
        return [step for section in self.sections for step in section.steps]

    def add(self, language: str, block: str, note: str, *, joined: bool) -> None:
        """Take in a code block.

        Args:
            language: as the page says.
            block: its lines.
            note: the comment in front of it.
            joined: whether nothing stands between it and the block before.
        """
        steps = self.sections[-1].steps
        last = steps[-1] if steps and joined else None
        if language == "powershell":
            self.powershell.append(block)
        if note == INSTEAD:
            self.instead.append(block)
        elif language == "sh":
            code = EXIT_CODE.fullmatch(note)
            steps.append(Command(block, code=int(code[1]) if code else 0))
        elif language == "powershell" and isinstance(last, Command):
            steps[-1] = replace(last, powershell=block)
        elif language == "text" and isinstance(last, Command):
            steps[-1] = replace(last, shown=tuple(block.splitlines()))
        elif language == "python" and block.startswith("# "):
            steps.append(Program(block.splitlines()[0].removeprefix("# "), f"{block}\n"))
        else:
            self.blocks.setdefault(language, []).append(block)


def read(page: Path) -> Tutorial:
    """Read a page written in Markdown."""
    tutorial = Tutorial()
    language, block, note, joined = None, list[str](), "", False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            if language is None:
                language, block = line.removeprefix("```"), []
            else:
                tutorial.add(language, "\n".join(block), note, joined=joined)
                language, note, joined = None, "", True
        elif language is not None:
            block.append(line)
        elif line:
            joined = False
            if line.startswith("## "):
                tutorial.sections.append(Section(line.removeprefix("## ")))
            elif step := PAGE_STEP.fullmatch(line):
                tutorial.sections[-1].steps.append(PageStep(step[1]))
            elif line.startswith("<!--"):
                note = line
            tutorial.pictures += re.findall(r"!\[[^]]*\]\(([^)]+)\)", line)
    return tutorial


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
