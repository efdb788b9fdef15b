"""A version that is active, or starting: its process, its files, its fast lane."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hotserve.batching import probes
from hotserve.batching.answers import TOLERANCE
from hotserve.inputs import json_forms
from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Batching, LaneTarget, Target
from hotserve.log import logger
from hotserve.manager.batch_opener import COMPARING, BatchOpener
from hotserve.manager.lane_opener import LaneOpener
from hotserve.manager.lane_verdict import COMPILING, LaneFiles, LaneVerdict
from hotserve.manager.registry import ModelVersion
from hotserve.manager.verdict import NoVerdict, Verdict
from hotserve.processes.model_server import ModelServer
from hotserve.redaction import Redactor

STOP_GRACE = 3.0


@dataclass(slots=True, eq=False)
class Deployment:
    """A version with its process.

    Attributes:
        in_use: keeps its files in the cache until it is closed.
        expected: what `model_input.expected` found in its files.
        signature: what `model_input.signature` found there.
        batching: whether requests may go to its process together.
        opening: the task that compares what the lane, and rows together, are answered with what
            the process answers.
        opener: what brings `lane` to a verdict; None once a comparison came to its end.
        generation: of the process that answers; grows with each one that takes over.
        is_known: whether its process was healthy in an earlier hotserve, and need not be tried.
        last_used: when its process was known to have a request, in seconds of the loop.
        was_needed: whether a request has needed its process, or that of the version before.
        metrics: the figures of its run, where they were asked for.
        seen: what it was sent, in the figures of `expected`.
    """

    version: ModelVersion
    server: ModelServer
    text_input: TextInput
    in_use: contextlib.ExitStack
    files: LaneFiles
    expected: dict[str, Any] | None = None
    signature: dict[str, Any] = field(default_factory=dict)
    lane: LaneVerdict = COMPILING
    opener: LaneOpener | None = None
    batching: Verdict = COMPARING
    batch_opener: BatchOpener | None = None
    opening: asyncio.Task[None] | None = None
    generation: int = 0
    is_known: bool = False
    last_used: float = 0.0
    was_needed: bool = False
    metrics: Mapping[str, float] | None = None
    seen: dict[str, Any] | None = None

    @property
    def started(self) -> bool:
        """Whether its process was healthy once."""
        return self.generation > 0 or self.is_known

    def target(self) -> Target:
        """Where to send requests for it."""
        server, version = self.server, self.version.label
        return Target(self.generation, server.port, version, server.mlflow, self.text_input)

    def lane_target(self, csv: str) -> LaneTarget | None:
        """What answers for it in the workers, if its lane is open; `csv` is the setting."""
        if not self.lane.is_open:
            return None
        kind, columns = self.text_input.kind, self.text_input.columns
        # The form that text/csv has on its way to the process.
        form = json_forms.table_form(json_forms.SPLIT, columns) if columns else json_forms.INPUTS
        takes_csv = csv != "table" and (csv == "text" or kind != "table")
        return LaneTarget(
            path=str(self.files.compiled),
            version=self.version.label,
            checksum=self.lane.checksum,
            mlflow=self.lane.environment.get("mlflow") or self.server.mlflow,
            forms=self.lane.forms,
            csv=takes_csv and form in self.lane.forms,
            columns=columns,
        )

    def batching_target(self, slots: int) -> Batching | None:
        """How requests go to its process together, if they may."""
        if not self.batching.is_open:
            return None
        types = probes.column_types(self.signature.get("inputs", []))
        return Batching(slots, self.batching.forms, types)

    def shown(self, csv: str, redactor: Redactor) -> dict[str, Any]:
        """What is known of it, for `/model`; `csv` is the setting."""
        target = self.lane_target(csv)
        # Not compared by itself, as it goes to the process in another form.
        csv_form = [json_forms.CSV] if target is not None and target.csv else []
        version = self.version
        return {
            "version": version.label or None,
            "stage": version.stage or None,
            "aliases": list(version.aliases),
            "run_id": version.run_id or None,
            "model_id": version.model_id or None,
            "metrics": self.metrics or None,
            "seen": self.seen,
            "lane": {
                **self.lane.shown(redactor),
                "difference": self.lane.difference,
                "forms": [*csv_form, *self.lane.forms],
            },
            "batching": {**self.batching.shown(redactor), "tolerance": TOLERANCE},
            "columns": list(self.text_input.columns),
            "expected": self.expected,
            "signature": self.signature or None,
        }

    async def close(self, after: asyncio.Event | None = None, timeout: float = 0.0) -> None:
        """End its process and what is under way for it, and let go of its files.

        Args:
            after: set once no request is under way there, which is waited for, `timeout` seconds.
        """
        await cancel(self.opening, self.opener.compiling if self.opener else None)
        if after is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(after.wait(), timeout)
        await self.server.close(STOP_GRACE)
        self.in_use.close()

    async def compare_lane(self) -> bool:
        """Come to a verdict on its lane, from its healthy process; False: it stays as it is."""
        assert self.opener is not None
        try:
            self.lane = await self.opener.verdict(self.server.port)
        except NoVerdict as error:
            if self.lane.is_open:
                # It was found equal before, on the same versions of everything.
                logger.warning("the fast lane was not compared again: %s", error)
                return False
            self.lane = LaneVerdict("shut", str(error))
        else:
            self.opener = None
        return True


async def cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel those that run, and wait for their end."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
