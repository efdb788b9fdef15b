"""What is known of a version's fast lane, and where that is saved beside the version."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from hotserve.atomic_write import atomic_write
from hotserve.manager.verdict import Verdict


@dataclass(frozen=True, slots=True)
class LaneVerdict(Verdict):
    """Whether the lane of a version may answer.

    Attributes:
        difference: the text on which it and the model differ, and both answers.
        environment: versions of what the model's process runs on.
        checksum: of the compiled file that was compared; workers answer from no other.
    """

    difference: Mapping[str, str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    checksum: int = 0


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

    def load(self, environment: Mapping[str, str] | None = None) -> LaneVerdict | None:
        """The verdict found before by the same code, on the same versions; None if there is none.

        Args:
            environment: what the model's process runs on now; None asks for any.
        """
        try:
            saved = json.loads(self._verdict.read_bytes())
            code = saved.pop("code")
            verdict = LaneVerdict(**{**saved, "forms": tuple(saved["forms"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if code != fingerprint() or environment not in (None, verdict.environment):
            return None
        return None if verdict.is_open and not self.compiled.is_file() else verdict

    def save(self, verdict: LaneVerdict) -> None:
        """Keep it for the next start.

        Raises:
            OSError: it can't be written.
        """
        atomic_write(self._verdict, json.dumps({**asdict(verdict), "code": fingerprint()}))

    def clear(self) -> None:
        """Make the folder; the next start compiles and compares again.

        Raises:
            OSError: it can't be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._verdict.unlink(missing_ok=True)


@cache
def fingerprint(package: Path = Path(__file__).parents[1]) -> str:
    """Changes with hotserve and with the Python that it runs on: any of it may decide an answer."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
