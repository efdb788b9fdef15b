"""Whether requests for a version may go together: what was found out, and what is kept of it."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotserve.atomic_write import atomic_write
from hotserve.config.folders import write_error
from hotserve.inputs.model_input import TextInput
from hotserve.log import logger
from hotserve.manager.verdict import NoVerdict, Verdict, comparison_by
from hotserve.processes.guarded_process import ProcessContext

_CHECK_SECONDS = 180.0

COMPARING = Verdict("comparing")


@dataclass(frozen=True, slots=True)
class BatchOpener:
    """Comes to a verdict about one version.

    Attributes:
        model: the model's folder.
        text_input: how the model takes products.
        file: where is kept that it is shut for good, or that a process ended.
        context: of the process that compares.
    """

    model: Path
    text_input: TextInput
    file: Path
    context: ProcessContext

    async def check(self, port: int) -> Verdict | None:
        """The verdict, from the answers of the healthy process on `port`.

        None if that ended meanwhile, so that the next one is to be asked. But not again and again:
        it may be the rows that end it.
        """
        if self.text_input.kind == "misdeclared":
            return Verdict("shut", "this model can't answer")
        kept = self._kept()
        if "shut" in kept:
            return Verdict("shut", str(kept["shut"]))
        arguments = [str(self.model), str(port), self.text_input.kind]
        try:
            result = await comparison_by("batch_check", arguments, self.context, _CHECK_SECONDS)
        except NoVerdict as error:
            return Verdict("shut", str(error))
        if isinstance(forms := result.get("forms"), list):
            return Verdict("open", forms=tuple(forms))
        if "shut" in result:
            return Verdict("shut", str(result["shut"]))
        if kept:
            why = "twice its process ended while its rows were compared"
            self.keep_shut(why)
            return Verdict("shut", why)
        self._keep({"ended": result["error"]})
        return None

    def keep_shut(self, why: str) -> None:
        """Have it stay shut for this version from the next start on, too."""
        self._keep({"shut": why})

    def _keep(self, what: dict[str, Any]) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self.file, json.dumps(what))
        except OSError as error:
            reason = write_error(error, self.file.parent)
            logger.warning("the next start will compare its rows again: %s", reason)

    def _kept(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads(self.file.read_bytes())
            return kept if isinstance(kept, dict) else {}
        return {}
