"""Commands that a test runs to their end, and programs that stand for others."""

import subprocess
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


def program(file: Path, script: str, shell: str = "/bin/sh") -> Path:
    """Write a program that is a shell's script; returns it."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!{shell}\n{script}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def completed(
    command: Sequence[str | PathLike[str]], **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command, with what it writes as text; its exit code is the caller's to look at."""
    return subprocess.run(command, **{"check": False, **options}, capture_output=True, text=True)
