"""What tools leave in the folders is not offered to git, and what git leaves there can be run."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROOT, completed


@pytest.mark.parametrize(
    "left",
    [
        # `pip install ./classificador-produtos`, and `python -m build` there.
        "classificador-produtos/build/lib/hotserve/cli.py",
        "classificador-produtos/hotserve.egg-info/PKG-INFO",
        "classificador-produtos/dist/hotserve-1.0.tar.gz",
        "trainer/mlruns/0/meta.yaml",
        # The key for backups by SSH.
        "deploy/backup/ssh/id_ed25519",
    ],
)
def test_what_a_tool_left_is_no_change(left: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    (tmp_path / left).parent.mkdir(parents=True)
    (tmp_path / left).touch()
    told = completed(
        ["git", "-C", tmp_path, "status", "--porcelain", "--untracked-files=all"], check=True
    )
    assert told.stdout == "?? .gitignore\n"


def test_a_clone_on_windows_has_the_line_ends_of_linux(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    for name in (".gitattributes", "wait-for-it.sh"):
        shutil.copy(ROOT / name, there)
    ours = ["git", "-C", str(there), "-c", "user.name=Ana", "-c", "user.email=ana@example.org"]
    subprocess.run(["git", "init", "--quiet", there], check=True)
    subprocess.run([*ours, "add", "."], check=True)
    subprocess.run([*ours, "commit", "--quiet", "--message", "Um"], check=True)
    # What its installer sets.
    windows = ["git", "clone", "--quiet", "--config", "core.autocrlf=true"]
    subprocess.run([*windows, str(there), str(here)], check=True)
    assert b"\r" not in (here / "wait-for-it.sh").read_bytes()
