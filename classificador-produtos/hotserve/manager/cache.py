"""Models on disk: fetched once, kept under their version, the last good one remembered."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hotserve.config.folders import make_ready
from hotserve.manager.registry import ModelVersion

_STALE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One model version on disk.

    Attributes:
        folder: holds `model/` and the file that locks it.
    """

    folder: Path

    @property
    def model(self) -> Path:
        """The folder with the MLmodel file."""
        return self.folder / "model"

    @property
    def lane(self) -> Path:
        """The folder with its compiled model; it goes when the model goes."""
        return self.folder / "lane"

    def is_complete(self) -> bool:
        """Whether the model was fetched to its end."""
        return (self.model / "MLmodel").is_file()

    def metrics(self) -> dict[str, float] | None:
        """The figures of its run, if they were kept."""
        try:
            kept = json.loads(self._metrics_file.read_text("utf-8"))
            return {str(name): float(value) for name, value in kept.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def keep_metrics(self, metrics: Mapping[str, float]) -> None:
        """Keep them for a start without MLflow, where there is room."""
        scratch = self._metrics_file.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            scratch.write_text(json.dumps(metrics), "utf-8")
            scratch.replace(self._metrics_file)

    @property
    def _metrics_file(self) -> Path:
        return self.folder / "metrics.json"

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep others, in this process or another, from pruning it meanwhile."""
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            os.utime(self.folder)
            yield


class Cache:
    """The versions of one registered model (or one fixed URI) of one registry.

    Args:
        root: the cache folder; made if it is not there.
        registry: its address, without secrets.
        name: the registered model.
        reference: the URI that is followed; each has its own last good version.

    Raises:
        UsageError: the folder can't be made or written to.
    """

    def __init__(self, root: Path, registry: str, name: str, reference: str) -> None:
        slug = re.sub(r"[^\w.-]+", "_", name)[-60:].strip("._") or "model"
        self._home = root / f"{slug}-{_digest(registry, name)}"
        self._state = self._home / f"serving-{_digest(reference)}.json"
        make_ready(self._home, root, "cache folder", "--cache")

    @property
    def logs(self) -> Path:
        """Where the output of this model's processes goes."""
        return self._home / "logs"

    @property
    def loose_lane(self) -> Path:
        """The folder for the compiled model of a model that is not in the cache."""
        return self._home / "lane"

    def entry(self, version: ModelVersion) -> Entry:
        """Where `version` lies, or will."""
        number, source, created = version.version, version.source, str(version.created)
        return Entry(self._home / f"{number or 'fixed'}-{_digest(number, source, created)}")

    @contextlib.contextmanager
    def room(self) -> Iterator[Path]:
        """A folder to fetch into; what is not handed to `keep` goes away afterwards."""
        path = Path(tempfile.mkdtemp(prefix=".fetch-", dir=self._home))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def keep(self, fetched: Path, entry: Entry, *, replace: bool) -> None:
        """Put a fetched model folder in its place in one step, so that it is never half there.

        Raises:
            OSError: it can't be moved there.
        """
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._home) as scratch:
            complete = Path(scratch) / "entry"
            complete.mkdir()
            fetched.rename(complete / "model")
            if entry.is_complete():
                if replace:
                    # Only the files: what was compiled from them may be in use.
                    entry.model.rename(Path(scratch) / "before")
                    (complete / "model").rename(entry.model)
                return
            with contextlib.suppress(FileNotFoundError):
                entry.folder.rename(Path(scratch) / "before")
            complete.rename(entry.folder)

    def remember(self, version: ModelVersion) -> None:
        """Note the version that is served: the one to begin with when MLflow is down.

        Raises:
            OSError: the file can't be written.
        """
        with tempfile.NamedTemporaryFile(
            "w", dir=self._home, prefix=".fetch-", suffix=".json", delete=False
        ) as file:
            json.dump({"version": version.to_json()}, file)
        os.replace(file.name, self._state)

    def last_good(self) -> ModelVersion | None:
        """The version that was served last, if it is still on disk."""
        try:
            version = ModelVersion.from_json(json.loads(self._state.read_text())["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return version if self.entry(version).is_complete() else None

    def prune(self, keep: int) -> None:
        """Remove all but the `keep` versions used last; what is in use anywhere stays."""
        entries = [path for path in self._home.glob("*-*/") if (path / "model").is_dir()]
        entries.sort(key=_modified, reverse=True)
        for path in entries[keep:]:
            with contextlib.suppress(OSError), (path / "lock").open("a") as lock:
                _try_lock(lock)
                shutil.rmtree(path, ignore_errors=True)
        for path in self._home.glob(".fetch-*"):
            if time.time() - _modified(path) > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
                with contextlib.suppress(OSError):
                    path.unlink()


def _try_lock(lock: IO[str]) -> None:
    """Raises BlockingIOError if somebody uses the entry."""
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
