"""Docker, played by a script that writes down what it is asked for."""

import os
import subprocess
from pathlib import Path

from tests.support.commands import completed, program


class FakeDocker:
    """What scripts find in the place of `docker`.

    Args:
        folder: for it alone.
        answers: to what it is asked, as the cases of bash's `case`.

    Attributes:
        calls: the file with a line for each.
    """

    def __init__(self, folder: Path, answers: str) -> None:
        script = f'echo "$*" >>"$CALLS"\ncase "$*" in\n{answers}\nesac'
        docker = program(folder / "bin" / "docker", script, "/bin/bash")
        self.calls = folder / "calls"
        self._path = f"{docker.parent}:{os.environ['PATH']}"

    def run(
        self, script: Path, *arguments: str, given: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script that asks it, with some variables, and something on standard input."""
        return completed(
            [script, *arguments],
            env={**os.environ, "PATH": self._path, "CALLS": str(self.calls), **variables},
            input=given,
        )
