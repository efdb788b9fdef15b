"""What tools leave in the folders of the project is not offered to git."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "left",
    [
        # `pip install ./classificador-produtos`, and `python -m build` there.
        "classificador-produtos/build/lib/hotserve/cli.py",
        "classificador-produtos/hotserve.egg-info/PKG-INFO",
        "classificador-produtos/dist/hotserve-1.0.tar.gz",
        "trainer/mlruns/0/meta.yaml",
    ],
)
def test_what_a_tool_left_is_no_change(left: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    (tmp_path / left).parent.mkdir(parents=True)
    (tmp_path / left).touch()
    told = subprocess.run(
        ["git", "-C", tmp_path, "status", "--porcelain", "--untracked-files=all"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "?? .gitignore\n"
