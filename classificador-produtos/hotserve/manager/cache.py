"""Models on disk: fetched once, kept under their version, and which one was served last."""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hotserve.atomic_write import SCRATCH_PREFIX, atomic_write
from hotserve.config.folders import make_ready
from hotserve.config.model_uri import ModelReference
from hotserve.manager.registry import ModelVersion

_NOTE = "serving-"
_STALE_SECONDS = 3600.0
_LOOK = 0.2
"""Seconds until it is looked again whether another hotserve has come to the end of its fetch."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model version on disk.

    Attributes:
        folder: holds `model/`, `lane/` and the file that locks it.
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
        """The figures of its run, if they were saved."""
        try:
            saved = json.loads(self._metrics_file.read_text("utf-8"))
            return {str(name): float(value) for name, value in saved.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def save_metrics(self, metrics: Mapping[str, float]) -> None:
        """Save them for a start without MLflow, where there is room."""
        with contextlib.suppress(OSError):
            atomic_write(self._metrics_file, json.dumps(metrics))

    @property
    def _metrics_file(self) -> Path:
        return self.folder / "metrics.json"

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep others, in this process or another, from pruning it meanwhile.

        Raises:
            OSError: its folder can't be written to.
        """
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            os.utime(self.folder)
            yield


class Cache:
    """The versions of the model that one reference means, on one server and in one workspace.

    Args:
        root: the cache folder; made if it is not there.
        scope: what the reference is looked up in, without secrets.
        reference: of several to one registered model each has its own version served last.

    Raises:
        UsageError: the folder can't be made or written to.
    """

    def __init__(self, root: Path, scope: Sequence[str], reference: ModelReference) -> None:
        self.folder = _folder(root, scope, reference)
        self._last_served = _last_served(root, scope, reference)
        make_ready(self.folder, root, "cache folder", "--cache")

    def entry(self, version: ModelVersion) -> Entry:
        """Where `version` lies, or will."""
        key = [version.version, version.source, str(version.created)]
        if version.content:
            key.append(version.content)
        return Entry(self.folder / f"{version.version or 'fixed'}-{_digest(*key)}")

    @contextlib.asynccontextmanager
    async def fetching(self) -> AsyncIterator[None]:
        """Wait until no other hotserve fetches a version into this folder, and keep them waiting.

        Raises:
            OSError: the folder can't be written to.
        """
        with (self.folder / "fetch.lock").open("a") as lock:
            while True:
                # Not in a thread that waits: it could not be told to stop.
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                await asyncio.sleep(_LOOK)
            yield

    def scratch(self) -> tempfile.TemporaryDirectory[str]:
        """A folder to fetch into; what is not handed to `add` goes away afterwards.

        Raises:
            OSError: it can't be made.
        """
        return tempfile.TemporaryDirectory(
            prefix=SCRATCH_PREFIX, dir=self.folder, ignore_cleanup_errors=True
        )

    def add(self, fetched: Path, entry: Entry, *, replace: bool) -> None:
        """Move a fetched model folder into its entry in one step, so that it is never incomplete.

        Raises:
            OSError: it can't be moved there.
        """
        with self.scratch() as scratch:
            complete, before = Path(scratch, "entry"), Path(scratch, "before")
            complete.mkdir()
            fetched.rename(complete / "model")
            if entry.is_complete():
                if replace:
                    # Only the files: what was compiled from them may be in use.
                    entry.model.rename(before)
                    (complete / "model").rename(entry.model)
                return
            with contextlib.suppress(FileNotFoundError):
                entry.folder.rename(before)
            complete.rename(entry.folder)

    def save_last_served(self, version: ModelVersion) -> None:
        """Note the version that is served: the one to begin with when MLflow is down.

        Raises:
            OSError: the file can't be written.
        """
        atomic_write(self._last_served, json.dumps({"version": asdict(version)}))

    def last_served(self) -> ModelVersion | None:
        """The version that was served last, if it is still on disk."""
        version = _noted(self._last_served)
        return version if version is not None and self.entry(version).is_complete() else None

    def forget_last_served(self) -> None:
        """The model is not to be served when MLflow is down any more."""
        with contextlib.suppress(OSError):
            self._last_served.unlink()

    def prune(self, keep: int) -> None:
        """Remove all but the `keep` versions used last; what is in use anywhere stays.

        So does what any stage or alias would begin with when MLflow is down. The output of
        processes goes with their versions; of versions that are not here, the last `keep` files
        stay.
        """
        served = map(_noted, self.folder.glob(f"{_NOTE}*.json"))
        spared = {self.entry(version).folder for version in served if version is not None}
        for path in _last_used_first(self.folder.glob("[!.]*-*/"))[keep:]:
            if path in spared:
                continue
            # BlockingIOError: somebody uses it.
            with contextlib.suppress(OSError), (path / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        here = {path.name.partition("-")[0] for path in self.folder.glob("[!.]*-*/")}
        logs = self.folder.glob("logs/*.log*")
        others = [path for path in logs if path.name.partition(".")[0] not in here]
        for path in _last_used_first(others)[keep:]:
            with contextlib.suppress(OSError):
                path.unlink()
        for path in self.folder.glob(f"{SCRATCH_PREFIX}*"):
            if time.time() - _modified(path) > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
                with contextlib.suppress(OSError):
                    path.unlink()


def _noted(file: Path) -> ModelVersion | None:
    """The version that `save_last_served` wrote there."""
    try:
        saved = json.loads(file.read_text("utf-8"))["version"]
        return ModelVersion(**{**saved, "aliases": tuple(saved["aliases"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def models_served_last(root: Path, scope: Sequence[str], pattern: ModelReference) -> list[str]:
    """The names of the models that `pattern` means and that were served last from this cache."""
    names = set()
    for file in root.glob(f"*/{_NOTE}*.json"):
        if (version := _noted(file)) is None or not pattern.matches(version.name):
            continue
        if file == _last_served(root, scope, pattern.of(version.name)):
            names.add(version.name)
    return sorted(names)


def _folder(root: Path, scope: Sequence[str], reference: ModelReference) -> Path:
    slug = re.sub(r"[^\w.-]+", "_", reference.name)[-60:].strip("._") or "model"
    return root / f"{slug}-{_digest(*scope, reference.identity)}"


def _last_served(root: Path, scope: Sequence[str], reference: ModelReference) -> Path:
    return _folder(root, scope, reference) / f"{_NOTE}{_digest(reference.uri)}.json"


def content_of(model: Path) -> str:
    """A digest of the names and the bytes of all files of a model.

    Raises:
        OSError: one can't be read.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in model.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(model)}\0{content}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:12]


def _last_used_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=_modified, reverse=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
