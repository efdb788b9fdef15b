"""`make reset LOCAL=yes`: what `make run` keeps is deleted, and the next one begins anew.

With VERSION=1 the trainer goes back to the first version instead (trainer/reset.py), while MLflow
runs.
"""

import os
import shutil
import sqlite3
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from hotserve.config.errors import UsageError
from local import settings as settings_module
from local.language import tr
from local.run import LAST_START
from local.settings import ROOT, Settings, short

DATABASE = "mlflow.db"
KEPT = (
    # First, and what belongs to it: without it, nothing names the rest.
    *(DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"),
    # Of a restore that was cut off.
    f"{DATABASE}.new",
    *("artifacts", "hotserve", "logs", "backup", LAST_START),
)
"""All that the stack keeps in its data folder, but the lock."""


def main() -> int:
    """Do what the environment says; returns the exit code."""
    try:
        chosen = settings_module.read(os.environ)
        version, force = os.environ.get("VERSION"), os.environ.get("FORCE") == "yes"
        if version:
            _first_version(chosen, version, force=force)
        else:
            with ExitStack() as locks:
                _lock(chosen.home, locks)
                _delete(chosen.home, force=force)
    except UsageError as error:
        print(f"make reset: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print()
        return 130
    return 0


def _first_version(chosen: Settings, version: str, *, force: bool) -> None:
    if version != "1":
        raise UsageError(
            tr("VERSION={version}: only 1 can be gone back to; leave it out to begin anew").format(
                version=version
            )
        )
    os.environ["MLFLOW_TRACKING_URI"] = chosen.mlflow_url
    program = str(ROOT / "trainer" / "reset.py")
    os.execv(sys.executable, [sys.executable, program, *(["--yes"] if force else [])])


def _lock(home: Path, locks: ExitStack) -> None:
    """Hold what `make run` and a backup hold, until the locks are left.

    Raises:
        UsageError: one of them is at work, or there is nothing to delete.
    """
    if not any((home / name).exists() for name in KEPT):
        raise UsageError(
            tr("there is nothing in {home}: `make run` has not been started there").format(
                home=short(home)
            )
        )
    busy = {
        home / "lock": tr("`make run` uses {home}: stop it first (Ctrl-C in its terminal)"),
        home / "backup" / "lock": tr("a backup of {home} is being made: wait until it has ended"),
    }
    for path, message in busy.items():
        if path.exists():
            locks.enter_context(settings_module.lock(path, message.format(home=short(home))))


def _delete(home: Path, *, force: bool) -> None:
    print(
        tr("{runs} runs and {versions} versions of models in {home} are deleted: {names}").format(
            home=short(home),
            names=", ".join(name for name in KEPT if (home / name).exists()),
            **_counted(home / DATABASE),
        )
    )
    if not force:
        if not sys.stdin.isatty():
            raise UsageError(tr("nothing was deleted: nobody was there to ask; FORCE=yes answers"))
        try:
            answer = input(tr("type yes to go on: "))
        except EOFError:
            # Ctrl-D leaves the cursor behind the question.
            answer = ""
            print()
        if answer.strip().casefold() != tr("yes"):
            raise UsageError(tr("nothing was deleted"))
    for name in KEPT:
        path = home / name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(
                tr("{path} could not be deleted ({strerror}): mend that, and run it again").format(
                    path=short(path), strerror=error.strerror
                )
            ) from None
    print(tr("deleted; `make run` begins anew"))


def _counted(database: Path) -> dict[str, object]:
    """How much there is; a question mark where the database does not say."""
    count = {
        "runs": "SELECT COUNT(*) FROM runs WHERE lifecycle_stage = 'active'",
        "versions": "SELECT COUNT(*) FROM model_versions WHERE current_stage != 'Deleted_Internal'",
    }
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as opened:
            return {what: opened.execute(query).fetchone()[0] for what, query in count.items()}
    except sqlite3.Error:
        return dict.fromkeys(count, "?")


if __name__ == "__main__":
    sys.exit(main())
