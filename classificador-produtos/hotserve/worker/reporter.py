"""A worker's side of `/metrics`: reports what it counted, and asks the manager for the sum."""

import asyncio
from itertools import count

from hotserve.ipc.channel import Channel
from hotserve.ipc.messages import Counts, InUse, MetricsAnswer, Scrape
from hotserve.worker.counters import FEWEST_SAMPLED, SAMPLED
from hotserve.worker.models import Models

_INTERVAL = 1.0
"""Seconds of counts that a worker killed with -9 takes with it at most."""
_ANSWER_SECONDS = 10.0


class Reporter:
    """Sends the manager what was counted.

    Args:
        models: whose counts they are, and which know which processes had requests.
        channel: to the manager.
    """

    def __init__(self, models: Models, channel: Channel) -> None:
        self._models = models
        self._channel = channel
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[tuple[str, bytes]]] = {}

    async def run(self) -> None:
        """Report again and again, also that nothing happened: it shows that this worker lives.

        At the same time memory of large bodies is given back.
        """
        while True:
            await asyncio.sleep(_INTERVAL)
            self.report()
            for model in self._models.everything():
                model.admission.release_memory()
                for generation in model.serving.take_used():
                    self._channel.send(InUse(model.name, generation))

    def report(self, scrape: int = 0) -> None:
        """Report now, for the `scrape` of that number if there is one."""
        models = self._models.everything()
        to_sample = max(SAMPLED // len(models), FEWEST_SAMPLED)
        counts = {m.name: m.counters.take(to_sample) for m in models if m.counters.has_changed}
        self._channel.send(Counts(counts, scrape))
        self._models.forget_those_gone()

    async def metrics(self, accept: str) -> tuple[str, bytes]:
        """Content type and body of the answer to a scrape.

        Raises:
            TimeoutError: the manager does not answer.
        """
        number = next(self._numbers)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        self._channel.send(Scrape(number, accept))
        try:
            return await asyncio.wait_for(future, _ANSWER_SECONDS)
        finally:
            del self._asked[number]

    def answered(self, answer: MetricsAnswer) -> None:
        """Take the manager's answer."""
        future = self._asked.get(answer.number)
        if future is not None and not future.done():
            future.set_result((answer.content_type, answer.body.encode()))
