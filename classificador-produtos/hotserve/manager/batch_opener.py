"""Whether requests for a version may go together: what was found out, and what is kept of it."""

import contextlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hotserve.atomic_write import atomic_write
from hotserve.batching.answers import TOLERANCE
from hotserve.config.folders import write_error
from hotserve.inputs.model_input import TextInput
from hotserve.log import logger
from hotserve.processes.guarded_process import ProcessContext, run_to_end
from hotserve.processes.own_code import environment_of_own_code

_CHECK_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """Whether requests that wait for the process may go to it together.

    Attributes:
        state: `comparing` as long as it is not known.
        why: why it is shut; empty otherwise.
        forms: the forms of request that may; see `batching.requests.read`.
    """

    state: Literal["open", "shut", "comparing"]
    why: str = ""
    forms: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "state": self.state,
            "why": self.why or None,
            "forms": list(self.forms),
            "tolerance": TOLERANCE,
        }


COMPARING = BatchVerdict("comparing")


@dataclass(frozen=True, slots=True)
class BatchOpener:
    """Comes to a verdict about one version.

    Attributes:
        model: the model's folder.
        text_input: how the model takes products.
        folder: where is kept that it is shut for good.
        context: of the process that compares.
    """

    model: Path
    text_input: TextInput
    folder: Path
    context: ProcessContext

    async def check(self, port: int) -> BatchVerdict | None:
        """The verdict, from the answers of the healthy process on `port`; None if it is gone."""
        if self.text_input.kind == "misdeclared":
            return BatchVerdict("shut", "this model can't answer")
        if why := self._kept():
            return BatchVerdict("shut", why)
        module = ("-P", "-m", "hotserve.manager.batch_check")
        argv = [sys.executable, *module, str(self.model), str(port), self.text_input.kind]
        environment = environment_of_own_code(self.context.environment)
        context = replace(self.context, environment=environment)
        try:
            end = await run_to_end(argv, context, timeout=_CHECK_SECONDS)
        except TimeoutError:
            why = f"comparing its answers took longer than {_CHECK_SECONDS:g} s"
            return BatchVerdict("shut", why)
        result: dict[str, Any] = {}
        for line in end.tail:
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                result = found if isinstance(found, dict) else result
        if isinstance(forms := result.get("forms"), list):
            return BatchVerdict("open", forms=tuple(forms))
        if "shut" in result:
            return BatchVerdict("shut", str(result["shut"]))
        if "error" in result or end.code is None or end.code < 0:
            return None
        return BatchVerdict("shut", f"comparing its answers failed: {end.reason()}")

    def keep_shut(self, why: str) -> None:
        """Have it stay shut for this version from the next start on, too."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic_write(self._file, json.dumps({"shut": why}))
        except OSError as error:
            reason = write_error(error, self.folder)
            logger.warning("the next start will open batching again: %s", reason)

    def _kept(self) -> str:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(self._file.read_bytes())["shut"])
        return ""

    @property
    def _file(self) -> Path:
        return self.folder / "batching.json"
