"""Commands that a test runs to their end."""

import subprocess
from collections.abc import Sequence
from os import PathLike
from typing import Any


def completed(
    command: Sequence[str | PathLike[str]], **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command, with what it writes as text; its exit code is the caller's to look at."""
    return subprocess.run(command, **{"check": False, **options}, capture_output=True, text=True)
