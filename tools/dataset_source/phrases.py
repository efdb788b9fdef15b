"""A small phrase grammar: one line of a text file becomes many sentences.

In a line, ``[a|b|]`` is one of its alternatives (they nest), ``<section>`` a line of that section,
``{name}`` a value of the product, ``{name^}`` the same with a capital, ``{2-9}`` a number.
A line ``@ section`` begins a section, or several that share the lines below it; lines that begin
with ``#`` are comments.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from random import Random

ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
SECTION = re.compile(r"<([^<>]+)>")
SLOT = re.compile(r"\{(\w+)(\^?)\}")
NUMBER = re.compile(r"\{(\d+)-(\d+)\}")

Sections = Mapping[str, list[str]]


def read_sections(*paths: Path) -> dict[str, list[str]]:
    """Read the sections of the files; a section named twice has the lines of both.

    Raises ValueError for a line that stands before the first section.
    """
    sections: dict[str, list[str]] = {}
    for path in paths:
        open_sections: list[list[str]] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.startswith("@ "):
                open_sections = [sections.setdefault(name, []) for name in line[2:].split()]
            elif line and not line.startswith("#"):
                if not open_sections:
                    raise ValueError(f"{path.name}, line {number}: text before the first section")
                for lines in open_sections:
                    lines.append(line)
    return sections


class Grammar:
    """Sections to choose lines from. Every choice comes from the `Random` that is handed in."""

    def __init__(self, sections: Sections) -> None:
        self.sections = sections

    def say(self, section: str, slots: Mapping[str, str], rng: Random) -> str:
        """One text of a section, with single spaces. Raises KeyError for an unknown name."""
        text = self._expand(f"<{section}>", slots, rng)
        return " ".join(text.split()).replace(" ,", ",").replace(" .", ".")

    def _expand(self, text: str, slots: Mapping[str, str], rng: Random) -> str:
        # Alternatives first: what was not chosen must not use up random numbers or slots.
        while match := ALTERNATIVES.search(text):
            chosen = rng.choice(match[1].split("|"))
            text = text[: match.start()] + chosen + text[match.end() :]
        parts = SECTION.split(text)
        for index in range(1, len(parts), 2):
            name = _fill(parts[index], slots)
            parts[index] = self._expand(rng.choice(self.sections[name]), slots, rng)
        text = NUMBER.sub(lambda m: str(rng.randint(int(m[1]), int(m[2]))), "".join(parts))
        return _fill(text, slots)


def _fill(text: str, slots: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        slot = slots[match[1]]
        return slot[:1].upper() + slot[1:] if match[2] else slot

    return SLOT.sub(value, text)
