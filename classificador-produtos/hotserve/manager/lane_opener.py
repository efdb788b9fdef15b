"""Brings a version's fast lane to a verdict: compile it, compare it, remember what came out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hotserve.config.mlflow_command import WrappedCommand
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from hotserve.processes.guarded_process import GuardedProcess

_COMPILE = Path(__file__).resolve().parents[1] / "lane" / "compile.py"
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_COMPILE_SECONDS = 120.0
_CHECK_SECONDS = 120.0
_VERSIONS_SECONDS = 30.0
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


class Unfinished(Exception):
    """No verdict this time; the text says why in one line.

    Attributes:
        was_killed: whether somebody ended the helper, so that it is worth another try.
    """

    def __init__(self, reason: str, *, was_killed: bool = False) -> None:
        super().__init__(reason)
        self.was_killed = was_killed


class LaneOpener:
    """What has to happen before the lane of one version may answer.

    Args:
        command: the wrapped command.
        model: the model's folder.
        files: where the lane's files go.
        environment: variables of the helpers.
        log: file for their output; None sends it to stderr with `label` in front.
        keep: whether the verdict holds for the next start.

    Attributes:
        python: the interpreter of the model's own environment; None as long as it is not known.
    """

    def __init__(
        self,
        command: WrappedCommand,
        model: Path,
        files: LaneFiles,
        *,
        environment: Mapping[str, str],
        log: Path | None,
        label: str,
        keep: bool,
    ) -> None:
        self.python = python_of(command) if serves_in_own_environment(command) else None
        self._program = command.program[0]
        self._model = model
        self._files = files
        self._environment = dict(environment)
        self._log = log
        self._label = label
        self._keep = keep
        self._versions: dict[str, str] | None = None

    @property
    def knows_python(self) -> bool:
        """Whether the model's own Python is known before its process runs."""
        return self.python is not None

    async def remembered(self) -> LaneVerdict | None:
        """The verdict of an earlier start, if everything is as it was then."""
        known = self._files.remembered() if self._keep else None
        python = self.python or (known.environment.get("executable") if known else None)
        if known is None or python is None:
            return None
        with contextlib.suppress(Unfinished):
            return self._files.remembered(await self._environment_versions(python))
        return None

    def compiling(self) -> asyncio.Task[LaneVerdict | None]:
        """`compile`, begun."""
        return asyncio.create_task(self.compile())

    async def compile(self) -> LaneVerdict | None:
        """Write the compiled model; None, or the verdict that the lane can't do this one.

        Raises:
            Unfinished: it could not be found out.
        """
        if (known := await self.remembered()) is not None:
            return None if known.is_open else known
        try:
            self._files.make().forget()
        except OSError as error:
            raise Unfinished(f"the cache can't be written to: {error.strerror}") from None
        code, told = await self._run(
            [self._own_python(), str(_COMPILE), str(self._model), str(self._files.compiled)],
            self._environment,
            _COMPILE_SECONDS,
            "compiling the model",
        )
        if code == 0:
            return None
        if code == _NOT_FOR_THE_LANE:
            return await self._concluded(LaneVerdict("shut", str(told.get("reason"))))
        raise Unfinished(f"compiling the model failed: {told.get('error') or f'code {code}'}")

    async def check(self, port: int) -> LaneVerdict:
        """The verdict, from the answers of the healthy process on `port`.

        Raises:
            Unfinished: the answers could not be had.
        """
        paths = filter(None, [_PACKAGE_PARENT, os.environ.get("PYTHONPATH")])
        code, told = await self._run(
            [
                *(sys.executable, "-P", "-m", "hotserve.manager.lane_check"),
                *(str(self._files.compiled), str(port)),
            ],
            {**self._environment, "PYTHONPATH": os.pathsep.join(paths)},
            _CHECK_SECONDS,
            "comparing the answers",
        )
        if isinstance(forms := told.get("forms"), list):
            return await self._concluded(LaneVerdict("open", forms=tuple(forms)))
        if isinstance(differs := told.get("difference"), dict):
            why = (
                f"on {ascii(differs['text'])[:120]} the lane answers {differs['lane']}, "
                f"the model {differs['model']}"
            )
            return await self._concluded(LaneVerdict("shut", why, difference=differs))
        raise Unfinished(str(told.get("error") or f"comparing the answers failed: code {code}"))

    async def _concluded(self, verdict: LaneVerdict) -> LaneVerdict:
        with contextlib.suppress(Unfinished):
            versions = await self._environment_versions(self._own_python())
            verdict = replace(verdict, environment=versions)
            if self._keep:
                # Without it the next start compiles again, and no more.
                with contextlib.suppress(OSError):
                    self._files.remember(verdict)
        return verdict

    async def _environment_versions(self, python: str) -> dict[str, str]:
        if self._versions is None:
            _, told = await self._run(
                [python, "-c", _VERSIONS],
                self._environment,
                _VERSIONS_SECONDS,
                "asking for versions",
                log=Path(os.devnull),
            )
            self._versions = {str(k): str(v) for k, v in told.items()} or None
        return self._versions or {}

    def _own_python(self) -> str:
        if self.python is None:
            raise Unfinished(
                f"the Python of {self._program} is not known; "
                "run it as 'python -m mlflow models serve …'"
            )
        return self.python

    async def _run(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        seconds: float,
        what: str,
        log: Path | None = None,
    ) -> tuple[int | None, dict[str, Any]]:
        """Exit code, and the last line that is a JSON object."""
        process = await GuardedProcess.start(
            argv, environment=environment, log=log or self._log, label=self._label
        )
        try:
            end = await asyncio.wait_for(asyncio.shield(process.exited), seconds)
        except TimeoutError:
            await process.stop(grace=0.2)
            raise Unfinished(f"{what} took longer than {seconds:g} s") from None
        except BaseException:
            await process.stop(grace=0.2)
            raise
        for line in reversed(end.tail):
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict):
                    return end.code, told
        if end.code is None or end.code < 0:
            raise Unfinished(f"{what} was {end.reason()}", was_killed=True)
        return end.code, {}


def python_of(command: WrappedCommand) -> str | None:
    """The interpreter that runs the wrapped `mlflow`; None where it can't be told."""
    program = command.program[0]
    if len(command.program) > 1:
        return program
    for folder in dict.fromkeys(
        (os.path.dirname(program), os.path.dirname(Path(program).resolve()))
    ):
        for name in ("python", "python3"):
            if os.access(os.path.join(folder, name), os.X_OK):
                return os.path.join(folder, name)
    with contextlib.suppress(OSError, ValueError), open(program, "rb") as script:
        first = script.readline(4096).decode()
        if first.startswith("#!"):
            words = shlex.split(first[2:])
            if words and os.path.basename(words[0]).startswith("python"):
                return words[0]
    return None


def serves_in_own_environment(command: WrappedCommand) -> bool:
    """Whether the wrapped command runs the model on its own Python."""
    others = [*command.others]
    manager = ""
    for place, word in enumerate(others):
        # Of several the last one counts, as in MLflow.
        if word == "--no-conda":
            manager = "local"
        elif word == "--env-manager":
            manager = "".join(others[place + 1 : place + 2])
        elif word.startswith("--env-manager="):
            manager = word.partition("=")[2]
    return manager == "local"
