"""A terminal in which a test types one command after the other, as a reader would."""

import os
import subprocess
import uuid
from pathlib import Path


class Terminal:
    """A shell that keeps its folder and its variables between commands.

    Args:
        folder: where it opens.
        variables: set in it, beside those of this process.
    """

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._mark = uuid.uuid4().hex
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait()

    def type_in(self, command: str) -> tuple[int, str]:
        """Run commands to their end.

        Returns:
            The exit code of the last one that failed, and all that they printed.
        """
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        # In braces: the commands themselves would be what it reads from the keyboard.
        typed = f"code=0; trap 'code=$?' ERR; {{ {command}\n}} </dev/null; trap - ERR"
        self._shell.stdin.write(f"{typed}\necho; echo {self._mark} $code\n")
        self._shell.stdin.flush()
        printed: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(self._mark):
                return int(line.split()[1]), "".join(printed)
            printed.append(line)
        raise AssertionError(f"the shell ended at {command!r}:\n{''.join(printed)}")
