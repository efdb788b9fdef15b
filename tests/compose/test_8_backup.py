"""The commands of docs/compose.md: what is saved from one stack lives on in another."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compose.stack import ROOT, Stack

GUIDE = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")


def commands(marker: str) -> str:
    """The shell block of the guide that contains the marker."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL)
    found = [block for block in blocks if marker in block]
    assert len(found) == 1
    return str(found[0])


def run(stack: Stack, script: str, folder: Path) -> None:
    """The script with `docker compose` meaning this stack, in a folder for its files."""
    line = " ".join(f"'{word}'" for word in stack.command_line())
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("docker compose", line)],
        cwd=folder,
        env=stack.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(900)
def test_a_backup_restored_into_an_empty_stack(
    stack: Stack, new_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    run(stack, commands("> s3.tar"), tmp_path)
    assert stack.classify() == "brinquedo"

    other = new_stack()
    run(other, commands("< s3.tar"), tmp_path)
    other.wait_trained()
    other.wait_healthy()
    assert "nothing to train" in other.logs("trainer")
    assert other.classify() == "brinquedo"
    assert [v["run_id"] for v in other.versions()] == [v["run_id"] for v in stack.versions()]
    assert {r["info"]["run_id"] for r in other.runs()} == {
        r["info"]["run_id"] for r in stack.runs()
    }
    other.forget()
