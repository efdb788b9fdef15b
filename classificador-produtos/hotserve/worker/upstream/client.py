"""Predictions of the model's own process: waiting for it, asking it again, what it answers."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter

from hotserve.inputs import parse_errors as unreadable
from hotserve.ipc.counts import PROCESS
from hotserve.ipc.messages import Target
from hotserve.redaction import Redactor
from hotserve.worker.counters import Tally
from hotserve.worker.errors import RequestError, redacted
from hotserve.worker.fast_lane import LARGE_CSV
from hotserve.worker.serving import Serving
from hotserve.worker.upstream import answer as process_answer
from hotserve.worker.upstream.connection import Answer, Headers
from hotserve.worker.upstream.pool import Forwarder, Gone
from hotserve.worker.upstream.translation import translate

_MOST_LOST = 3
"""Processes that may end while they have a request: it may be the request that ends them."""
_RESET_WAIT = 0.2
_JSON = (b"content-type", b"application/json")


class ProcessLane:
    """Answers whatever the fast lane does not.

    Args:
        hold_timeout: seconds that a request waits for a process that is on its way back.
        csv: the setting `--csv`.
    """

    def __init__(
        self,
        serving: Serving,
        forwarder: Forwarder,
        redactor: Redactor,
        tally: Tally,
        *,
        hold_timeout: float,
        csv: str,
    ) -> None:
        self._serving = serving
        self._forwarder = forwarder
        self._redactor = redactor
        self._tally = tally
        self._hold_timeout = hold_timeout
        self._csv = csv

    @property
    def timeout(self) -> float:
        """Seconds for one request."""
        return self._forwarder.timeout

    def target(self) -> Target:
        """Where to send a request.

        Raises:
            RequestError: 503, which says what is missing.
        """
        news = self._serving.now()
        if news.target is not None:
            return news.target
        raise RequestError(
            503,
            str(news.model.get("message") or "starting"),
            (b"retry-after", str(math.ceil(news.model.get("retry_after", 1))).encode()),
        )

    async def answer(
        self, content_type: bytes, body: bytes, headers: Headers
    ) -> tuple[Target, Answer]:
        """The answer as the client is to have it, and the process that gave it.

        Raises:
            RequestError: there is none, or the body can't be read.
        """
        target, answer = await self._ask(content_type, body, headers)
        if answer.status == 500:
            why = unreadable.why(content_type, body)
            if why is not None:
                raise RequestError(400, why)
        if answer.status < 400:
            self._tally.products(target.version, process_answer.categories(answer.body))
        else:
            answer.body = redacted(answer.body, answer.status, self._redactor)
            kept = [pair for pair in answer.headers if pair[0] != b"content-type"]
            answer.headers = [*kept, _JSON]
        answer.headers += [
            (b"x-model-version", target.version.encode()),
            (b"x-hotserve-lane", PROCESS.encode()),
        ]
        return target, answer

    async def _ask(
        self, content_type: bytes, body: bytes, headers: Headers
    ) -> tuple[Target, Answer]:
        """Of one version, whichever it is by then."""
        give_up = time.monotonic() + self._hold_timeout
        lost = Counter[int]()
        while True:
            await self._serving.wait_until_not(None, give_up)
            target = self.target()
            self._serving.begin(target)
            try:
                if len(body) > LARGE_CSV:
                    # Many small steps, between which this thread goes on with other requests.
                    sent_type, sent = await asyncio.to_thread(
                        translate, target, content_type, body, self._csv
                    )
                else:
                    sent_type, sent = translate(target, content_type, body, self._csv)
                return target, await self._forwarder.post(target, sent_type, sent, headers)
            except TimeoutError:
                raise RequestError(504, "the model did not answer in time", target=target) from None
            except Gone as gone:
                # It died, and the manager will soon say what takes its place. Where somebody still
                # listens, one of several processes died: the others answer.
                wait = give_up if gone.refused else min(give_up, time.monotonic() + _RESET_WAIT)
                if not gone.refused:
                    lost[target.generation] += 1
                await self._serving.wait_until_not(target, wait)
            finally:
                self._serving.end(target)
            # A process that is slow to go may take connections for a while that it never answers.
            if max(len(lost), *lost.values(), 0) >= _MOST_LOST:
                break
            if time.monotonic() >= give_up and self._serving.now().target == target:
                break
        raise RequestError(
            503,
            "the model's process ended while it answered this request",
            (b"retry-after", b"5"),
            target=target,
        )
