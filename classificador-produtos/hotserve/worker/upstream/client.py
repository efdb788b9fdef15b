"""Predictions of the model's own process: waiting for it, asking it again, what it answers."""

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass

from hotserve.inputs import parse_errors
from hotserve.ipc.counts import PROCESS
from hotserve.ipc.messages import Target
from hotserve.redaction import Redactor
from hotserve.worker.answer import JSON, Answer, Headers
from hotserve.worker.counters import Counters
from hotserve.worker.errors import RequestError, redacted
from hotserve.worker.fast_lane import LARGE_CSV
from hotserve.worker.serving import Serving
from hotserve.worker.shared import Shared
from hotserve.worker.upstream.answer import categories, predictions
from hotserve.worker.upstream.batcher import Batcher
from hotserve.worker.upstream.pool import NoAnswer
from hotserve.worker.upstream.translation import translate

_MOST_LOST = 3
"""Processes that may end while they have a request: it may be the request that ends them."""
_RESET_WAIT = 0.2


@dataclass(frozen=True, slots=True)
class UpstreamClient:
    """Answers whatever the fast lane of one model does not."""

    shared: Shared
    serving: Serving
    counters: Counters
    batcher: Batcher
    redactor: Redactor

    def target(self) -> Target:
        """Where to send a request.

        Raises:
            RequestError: 503, which says what is missing.
        """
        now = self.serving.now().change
        if now.target is not None:
            return now.target
        raise RequestError(
            503,
            str(now.model.get("message") or "starting"),
            (b"retry-after", b"%d" % math.ceil(now.model.get("retry_after", 1))),
        )

    async def answer(self, content_type: bytes, body: bytes, headers: Headers) -> Answer:
        """The answer as the client is to have it.

        Raises:
            RequestError: there is none, or the body can't be read.
        """
        # One that sleeps starts within the request's own time, before patience ends.
        limit = self.batcher.timeout if self.serving.now().change.asleep else None
        patience = 2 * limit if limit else self.shared.settings.hold_timeout
        try:
            async with asyncio.timeout(limit):
                target, rows, answer = await self._ask(content_type, body, headers, patience)
        except TimeoutError:
            message = "the model's process was asleep and did not answer in time"
            raise RequestError(504, message) from None
        if answer.status == 500 and (reason := parse_errors.why(content_type, body)):
            raise RequestError(400, reason)
        if answer.status >= 400:
            answer.body, stack_trace = redacted(answer.body, answer.status, self.redactor)
            if stack_trace:
                self.shared.faults.log_model(target.version, stack_trace)
            answer.headers = [pair for pair in answer.headers if pair[0] != JSON[0]] + [JSON]
        elif rows is None:
            # Nothing in the answer depends on it, so the client has that first.
            asyncio.get_running_loop().call_soon(self._count, target, answer.body)
        else:
            self._count(target, answer.body, rows)
        answer.lane, answer.version = PROCESS, target.version
        answer.headers += [
            (b"x-model-version", target.version.encode()),
            (b"x-hotserve-lane", PROCESS.encode()),
        ]
        return answer

    def _count(self, target: Target, body: bytes, rows: int | None = None) -> None:
        """Count the predictions, which have to be as many as the `rows`.

        Raises:
            RequestError: they are not.
        """
        found = predictions(body)
        if found is None:
            return
        if rows == 0 and found:
            # What a pipeline makes of an empty table is the names of its columns.
            raise RequestError(400, "there is no product in the body")
        if rows not in (None, len(found)):
            raise _failed(500, f"the model gave {len(found)} answers to {rows} products", target)
        self.counters.products(target.version, categories(found))

    async def _ask(
        self, content_type: bytes, body: bytes, headers: Headers, patience: float
    ) -> tuple[Target, int | None, Answer]:
        """Ask until a process answers; seconds of `patience` with one that does not come back.

        Of one version, whichever it is by then; with the number of answers that there must be, see
        `Translated.rows`.
        """
        deadline = time.monotonic() + patience
        lost = Counter[int]()
        while True:
            await self.serving.wait_until_not(None, deadline)
            target, batching = self.target(), self.serving.now().change.batching
            self.serving.begin(target)
            try:
                parts = (target, content_type, body, self.shared.settings.csv)
                # A large body takes many small steps, between which other requests go on.
                is_large = len(body) > LARGE_CSV
                sent = await asyncio.to_thread(translate, *parts) if is_large else translate(*parts)
                # Not in company again: it may be the one that ended the process.
                answer = await self.batcher.post(
                    target, None if lost else batching, sent.content_type, sent.body, headers
                )
                if answer.events is not None:
                    # Under way as long as they come.
                    self.serving.begin(target)
                    answer.events.closing.callback(self.serving.end, target)
                return target, sent.rows, answer
            except TimeoutError:
                raise _failed(504, "the model did not answer in time", target) from None
            except NoAnswer as error:
                # It died, and the manager will soon say what takes its place. Where somebody still
                # listens, one of several processes died: the others answer.
                until = deadline if error.refused else min(deadline, time.monotonic() + _RESET_WAIT)
                if not error.refused:
                    lost[target.generation] += 1
                await self.serving.wait_until_not(target, until)
            finally:
                self.serving.end(target)
            # A process that is slow to go may take connections for a while that it never answers.
            ended = max(len(lost), *lost.values(), 0) >= _MOST_LOST
            stays = self.serving.now().change.target == target
            if ended or (stays and time.monotonic() >= deadline):
                message = "the model's process ended while it answered this request"
                raise _failed(503, message, target, (b"retry-after", b"5"))


def _failed(
    status: int, message: str, target: Target, *headers: tuple[bytes, bytes]
) -> RequestError:
    return RequestError(status, message, *headers, lane=PROCESS, version=target.version)
