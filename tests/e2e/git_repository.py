"""Git repositories of a test's own, and what a clone of this checkout has."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import ROOT, completed

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.org",
}


@dataclass(frozen=True)
class Repository:
    """Someone's clone of a project, and where it is pushed to.

    Attributes:
        folder: the work tree, on the branch `main`.
        bare: the repository that a `GitServer` serves.
    """

    folder: Path
    bare: Path

    @classmethod
    def create(cls, folder: Path, bare: Path) -> "Repository":
        """An empty clone in `folder` and an empty repository in `bare`."""
        repository = cls(folder, bare)
        folder.mkdir(parents=True)
        git("init", "--quiet", "--bare", "--initial-branch", "main", str(bare), cwd=folder)
        git("init", "--quiet", "--initial-branch", "main", cwd=folder)
        git("remote", "add", "origin", str(bare), cwd=folder)
        return repository

    def commit_and_push(self, message: str) -> str:
        """Commit everything in the work tree and push it; returns the commit's hash."""
        # Forced: whatever is in the folder was put there to be in the commit.
        git("add", "--all", "--force", cwd=self.folder)
        git("commit", "--quiet", "-m", message, cwd=self.folder)
        git("push", "--quiet", "origin", "main", cwd=self.folder)
        return git("rev-parse", "HEAD", cwd=self.folder)


def git(*arguments: str, cwd: Path) -> str:
    """Run git as somebody without settings of their own; returns what it printed."""
    done = completed(
        ["git", *arguments], cwd=cwd, env=os.environ | AUTHOR | {"GIT_CONFIG_GLOBAL": os.devnull}
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def copy_of_a_clone(folder: Path) -> None:
    """Put what a clone of this checkout would have, as it is now, into `folder`."""
    listed = completed(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT
    )
    if listed.returncode:
        pytest.skip(f"{ROOT} is no git checkout, so nobody can tell what a clone of it has")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def committed_clone(folder: Path) -> None:
    """Make `folder` a repository with what a clone of this checkout would have, in one commit."""
    folder.mkdir()
    git("init", "--quiet", "--initial-branch", "main", cwd=folder)
    copy_of_a_clone(folder)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--message", "Classificador de produtos", cwd=folder)
