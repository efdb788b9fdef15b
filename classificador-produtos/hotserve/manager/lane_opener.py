"""Brings a version's fast lane to a verdict: compile it, compare it, save what came out."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hotserve.config.folders import disk_full, write_error
from hotserve.config.mlflow_command import WrappedCommand
from hotserve.log import logger
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from hotserve.manager.verdict import NoVerdict, answer_of, comparison_by
from hotserve.processes.guarded_process import ProcessContext

_COMPILE = Path(__file__).resolve().parents[1] / "lane" / "compile.py"
_COMPILE_SECONDS = 120.0
_CHECK_SECONDS = 120.0
_VERSIONS_SECONDS = 30.0
_KNOWN_SECONDS = 60.0
_NOT_FOR_THE_LANE = 3

_VERSIONS = """\
import importlib.metadata as metadata, json, platform, sys, unicodedata
found = {"python": platform.python_version(), "unicode": unicodedata.unidata_version}
found["executable"] = sys.executable
for name in ("mlflow", "mlflow-skinny", "scikit-learn", "numpy", "scipy"):
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class Installed:
    """What is installed beside a Python: asked once for all who want to know it in one minute."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, dict[str, str]]] = {}
        self._asking = asyncio.Lock()

    async def beside(
        self, python: str, ask: Callable[[], Coroutine[Any, Any, dict[str, str]]]
    ) -> dict[str, str]:
        """What `ask` finds, or what another one found a moment ago."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            at, found = self._found.get(python, (-_KNOWN_SECONDS, {}))
            if now - at >= _KNOWN_SECONDS:
                found = await ask()
                self._found[python] = now, found
            return found


@dataclass(slots=True)
class LaneOpener:
    """What has to happen before the lane of one version may answer.

    Attributes:
        command: the wrapped command.
        model: the model's folder.
        files: where the lane's files go.
        context: of the helpers.
        installed: shared with other models.
        python: the interpreter of the model's own environment; None as long as it is not known.
        compiling: `compile`, if it was begun and `verdict` does not wait for it yet.
    """

    command: WrappedCommand
    model: Path
    files: LaneFiles
    context: ProcessContext
    installed: Installed = field(default_factory=Installed)
    python: str | None = field(init=False)
    compiling: asyncio.Task[LaneVerdict | None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        local = self.command.env_manager == "local"
        self.python = self.command.python() if local else None

    async def saved_verdict(self) -> LaneVerdict | None:
        """The verdict of an earlier start, if everything is as it was then."""
        saved = self.files.load()
        python = self.python or (saved.environment.get("executable") if saved else None)
        if saved is None or python is None:
            return None
        with contextlib.suppress(NoVerdict):
            return self.files.load(await self._environment_versions(python))
        return None

    def begin(self) -> None:
        """Compile the model while its process starts."""
        self.compiling = asyncio.create_task(self.compile())

    async def verdict(self, port: int) -> LaneVerdict:
        """The verdict, from the healthy process on `port`.

        Raises:
            NoVerdict: it could not be found out.
        """
        begun, self.compiling = self.compiling, None
        return await (begun or self.compile()) or await self.check(port)

    async def compile(self) -> LaneVerdict | None:
        """Write the compiled model; None, or the verdict that the lane can't do this one.

        Raises:
            NoVerdict: it could not be found out.
        """
        if (saved := await self.saved_verdict()) is not None:
            return None if saved.is_open else saved
        try:
            self.files.clear()
        except OSError as error:
            why = write_error(error, self.files.folder)
            raise NoVerdict(f"the cache can't be written to: {why}") from None
        code, result = await answer_of(
            [self._own_python(), str(_COMPILE), str(self.model), str(self.files.compiled)],
            self.context,
            _COMPILE_SECONDS,
            "compiling the model",
        )
        if code == 0:
            return None
        if code == _NOT_FOR_THE_LANE:
            return await self._save(LaneVerdict("shut", str(result.get("reason"))))
        said = str(result.get("error"))
        why = disk_full(said, self.files.folder) or said
        raise NoVerdict(f"compiling the model failed: {why}")

    async def check(self, port: int) -> LaneVerdict:
        """The verdict, from the answers of the healthy process on `port`.

        Raises:
            NoVerdict: the answers could not be had.
        """
        arguments = [str(self.files.compiled), str(port)]
        result = await comparison_by("lane_check", arguments, self.context, _CHECK_SECONDS)
        if isinstance(forms := result.get("forms"), list):
            verdict = LaneVerdict("open", forms=tuple(forms), checksum=result["checksum"])
            return await self._save(verdict)
        if isinstance(differs := result.get("difference"), dict):
            why = (
                f"on {ascii(differs['text'])[:120]} the lane answers {differs['lane']}, "
                f"the model {differs['model']}"
            )
            return await self._save(LaneVerdict("shut", why, difference=differs))
        raise NoVerdict(str(result.get("error")))

    async def _save(self, verdict: LaneVerdict) -> LaneVerdict:
        with contextlib.suppress(NoVerdict):
            versions = await self._environment_versions(self._own_python())
            verdict = replace(verdict, environment=versions)
            try:
                self.files.save(verdict)
            except OSError as error:
                why = write_error(error, self.files.folder)
                logger.warning("the next start will compile the model again: %s", why)
        return verdict

    async def _environment_versions(self, python: str) -> dict[str, str]:
        async def ask() -> dict[str, str]:
            _, result = await answer_of(
                [python, "-c", _VERSIONS],
                replace(self.context, log=Path(os.devnull)),
                _VERSIONS_SECONDS,
                "asking for versions",
            )
            return {name: str(version) for name, version in result.items()}

        return await self.installed.beside(python, ask)

    def _own_python(self) -> str:
        if self.python is None:
            raise NoVerdict(
                f"the Python of {self.command.program[0]} is not known; "
                "run it as 'python -m mlflow models serve …'"
            )
        return self.python
