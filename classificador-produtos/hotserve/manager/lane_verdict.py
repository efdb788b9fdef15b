"""What is known of a version's fast lane, and its memory on disk beside the version."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class LaneVerdict:
    """Whether the lane of a version may answer.

    Attributes:
        state: `compiling` stands for everything before the comparison is over.
        why: why it is shut; empty otherwise.
        forms: the forms of request whose answers were compared and equal; see `lane_forms`.
        difference: the text on which it and the model differ, and both answers.
        environment: versions of what the model's process runs on.
    """

    state: Literal["open", "shut", "compiling"]
    why: str = ""
    forms: tuple[str, ...] = ()
    difference: Mapping[str, str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it may answer."""
        return self.state == "open"

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "state": self.state,
            "why": self.why or None,
            "difference": dict(self.difference) if self.difference else None,
            "forms": list(self.forms),
        }


COMPILING = LaneVerdict("compiling")


@dataclass(frozen=True, slots=True)
class LaneFiles:
    """The files of a version's lane: the compiled model, its probes, the verdict."""

    folder: Path

    @property
    def compiled(self) -> Path:
        """The file that workers map."""
        return self.folder / "model.lane"

    @property
    def _verdict(self) -> Path:
        return self.folder / "verdict.json"

    def make(self) -> Self:
        """Make the folder.

        Raises:
            OSError: it can't be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def remembered(self, environment: Mapping[str, str] | None = None) -> LaneVerdict | None:
        """The verdict found before by the same code, on the same versions; None if there is none.

        Args:
            environment: what the model's process runs on now; None asks for any.
        """
        try:
            kept = json.loads(self._verdict.read_bytes())
            verdict = LaneVerdict(
                state=kept["state"],
                why=kept["why"],
                forms=tuple(kept["forms"]),
                difference=kept["difference"],
                environment=kept["environment"],
            )
            code = kept["code"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if code != _code() or (environment is not None and environment != verdict.environment):
            return None
        return None if verdict.is_open and not self.compiled.is_file() else verdict

    def remember(self, verdict: LaneVerdict) -> None:
        """Keep it for the next start.

        Raises:
            OSError: it can't be written.
        """
        kept = {
            **verdict.shown(),
            "why": verdict.why,
            "environment": dict(verdict.environment),
            "code": _code(),
        }
        with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False) as file:
            json.dump(kept, file)
        os.replace(file.name, self._verdict)

    def forget(self) -> None:
        """The next start compiles and compares again."""
        self._verdict.unlink(missing_ok=True)


@cache
def _code() -> str:
    """Changes with the code that compiles, compares and answers."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted([*package.glob("lane/*.py"), *package.glob("manager/lane_*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
