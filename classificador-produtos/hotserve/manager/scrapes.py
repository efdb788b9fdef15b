"""The manager's side of `/metrics`: any worker may be asked, and its answer counts for all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from hotserve.ipc.channel import Channel
from hotserve.manager.metrics import Metrics

_PATIENCE = 2.0
"""Seconds for a worker to report; one that is slower counts as it last reported."""


@dataclass(slots=True, eq=False)
class _Scrape:
    """A scrape that is waited for: who asked, and who has not reported yet."""

    asker: int
    number: int
    accept: str
    missing: set[int]
    timer: asyncio.TimerHandle | None = None


class Scrapes:
    """Has every worker report before it answers a worker that was asked for `/metrics`.

    What a client was answered before it asks for `/metrics` is therefore in it, whichever worker
    gave the answer.

    Args:
        channels: to the workers that run now, by pid.
        metrics: where reports are added up.
    """

    def __init__(self, channels: Mapping[int, Channel], metrics: Metrics) -> None:
        self._channels = channels
        self._metrics = metrics
        self._numbers = count(1)
        self._open: dict[int, _Scrape] = {}

    def asked(self, worker: int, message: Mapping[str, Any]) -> None:
        """A worker wants to answer a scrape."""
        number = next(self._numbers)
        scrape = _Scrape(worker, message["number"], message["accept"], set(self._channels))
        scrape.timer = asyncio.get_running_loop().call_later(_PATIENCE, self._answer, number)
        self._open[number] = scrape
        for channel in self._channels.values():
            channel.send("report", scrape=number)

    def reported(self, worker: int, message: Mapping[str, Any]) -> None:
        """A worker's counts came."""
        self._metrics.add(worker, message["counts"])
        scrape = self._open.get(message["scrape"])
        if scrape is not None:
            scrape.missing.discard(worker)
            if not scrape.missing:
                self._answer(message["scrape"])

    def gone(self, worker: int) -> None:
        """A worker ended: nobody waits for its report."""
        self._metrics.gone(worker)
        for number, scrape in [*self._open.items()]:
            scrape.missing.discard(worker)
            if not scrape.missing:
                self._answer(number)

    def _answer(self, number: int) -> None:
        scrape = self._open.pop(number)
        if scrape.timer is not None:
            scrape.timer.cancel()
        if (channel := self._channels.get(scrape.asker)) is not None:
            content_type, body = self._metrics.text(scrape.accept)
            answer = {"content_type": content_type, "body": body.decode()}
            channel.send("metrics", number=scrape.number, **answer)
