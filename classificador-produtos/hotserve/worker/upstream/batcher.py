"""Requests that wait for the model's process go to it together, as one of MLflow's own protocol."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from hotserve.batching.answers import WrongLength, split
from hotserve.batching.requests import MOST_BYTES, MOST_ROWS, Part, join, may_be_joined, read
from hotserve.ipc.messages import Batching, Target
from hotserve.worker.answer import Answer, Headers
from hotserve.worker.counters import Counters
from hotserve.worker.upstream.pool import ConnectionPool

_PATIENCE = 1.0
"""Seconds after which those who wait go, although the process has not answered: it may hang."""
_TURNS = 4
"""Of the loop: in one a request is read, in the next its coroutine begins; and as many again."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request that waits, with what it would be sent as alone."""

    part: Part
    body: bytes
    headers: Headers
    answer: asyncio.Future[Answer]

    def end(self, answer: Answer | Exception) -> None:
        """Give who waits its answer, unless it is gone."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


@dataclass(slots=True, eq=False)
class _Queue:
    """What is under way at one server process, and what waits for it.

    Attributes:
        last_was_joint: whether what was sent last was more than one request.
        is_reading: whether those that wait go after a few turns of the loop.
    """

    target: Target
    slots: int
    under_way: int = 0
    waiting: list[_Waiting] = field(default_factory=list)
    patience: asyncio.TimerHandle | None = None
    last_was_joint: bool = False
    is_reading: bool = False

    def take(self) -> list[_Waiting]:
        """Those that go next: the one that came first, and those that are alike."""
        first = self.waiting[0]
        taken, left = list[_Waiting](), list[_Waiting]()
        rows = size = 0
        for each in self.waiting:
            rows, size = rows + len(each.part.rows), size + each.part.size
            fits = not taken or (rows <= MOST_ROWS and size <= MOST_BYTES)
            if each.part.key == first.part.key and fits:
                taken.append(each)
            else:
                rows, size = rows - len(each.part.rows), size - each.part.size
                left.append(each)
        self.waiting = left
        return taken


class Batcher:
    """Sends requests through a pool of connections; without batching that is all it does.

    A request is sent at once where the process is free. While it has as many as it may have, those
    that come wait, and nobody waits for others to come: only what is there already is read first.

    Args:
        report: called with a version, and why its rows may not go together any more.
    """

    def __init__(
        self, pool: ConnectionPool, counters: Counters, report: Callable[[str, str], None]
    ) -> None:
        self._pool = pool
        self._counters = counters
        self._report = report
        self._queues: dict[int, _Queue] = {}
        self._shut: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def timeout(self) -> float:
        """Seconds for one request."""
        return self._pool.timeout

    async def post(
        self,
        target: Target,
        batching: Batching | None,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> Answer:
        """POST to `/invocations` of `target`, in company if it waits and `batching` allows it.

        Raises:
            NoAnswer: no process answers there.
            TimeoutError: it did not answer in time.
        """
        is_open = target.version not in self._shut and may_be_joined(content_type, body)
        if batching is None or not is_open:
            return await self._pool.post(target, content_type, body, headers)
        queue = self._queues.get(target.generation)
        if queue is None:
            # Those of processes that were replaced go once they are empty.
            left = {n: each for n, each in self._queues.items() if each.waiting or each.under_way}
            queue = left[target.generation] = _Queue(target, batching.slots)
            self._queues = left
        is_free = queue.under_way < queue.slots and not queue.waiting
        if is_free and not queue.last_was_joint:
            queue.under_way += 1
            try:
                return await self._pool.post(target, content_type, body, headers)
            finally:
                self._release(queue)
        part = read(content_type, body, batching.types)
        if part is None or part.form not in batching.forms:
            return await self._pool.post(target, content_type, body, headers)
        waiting = _Waiting(part, body, headers, asyncio.get_running_loop().create_future())
        queue.waiting.append(waiting)
        self._set_patience(queue)
        if is_free:
            self._read_then_send(queue)
        async with asyncio.timeout(self.timeout):
            return await waiting.answer

    def _set_patience(self, queue: _Queue) -> None:
        if queue.patience is None:
            loop = asyncio.get_running_loop()
            queue.patience = loop.call_later(_PATIENCE, self._send_next, queue)

    def _release(self, queue: _Queue) -> None:
        queue.under_way -= 1
        if queue.waiting:
            self._read_then_send(queue)

    def _read_then_send(self, queue: _Queue) -> None:
        """Send those that wait once the requests that have arrived are read.

        Those whose answers were just written are likely to ask again; what they sent meanwhile is
        read first. That takes a few turns of the loop, and no time where there is nothing to read.
        """
        if not queue.is_reading:
            queue.is_reading = True
            asyncio.get_running_loop().call_soon(self._turn, queue, len(queue.waiting), 1)

    def _turn(self, queue: _Queue, waiting: int, turn: int) -> None:
        if len(queue.waiting) != waiting:
            turn = 0
        if turn < _TURNS and len(queue.waiting) < MOST_ROWS:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._turn, queue, len(queue.waiting), turn + 1)
            return
        queue.is_reading = False
        while queue.waiting and queue.under_way < queue.slots:
            self._send_next(queue)

    def _send_next(self, queue: _Queue) -> None:
        if queue.patience is not None:
            queue.patience.cancel()
            queue.patience = None
        queue.waiting = [each for each in queue.waiting if not each.answer.done()]
        if not queue.waiting:
            return
        taken = queue.take()
        queue.last_was_joint = len(taken) > 1
        if queue.waiting:
            self._set_patience(queue)
        queue.under_way += 1
        # Of its own, so that nobody's answer ends with another's request.
        task = asyncio.create_task(self._send(queue, taken))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, queue: _Queue, taken: list[_Waiting]) -> None:
        target = queue.target
        try:
            alone = len(taken) == 1 or target.version in self._shut
            if alone or not await self._answer_together(target, taken):
                await asyncio.gather(*(self._answer_alone(target, each) for each in taken))
        except Exception as error:
            for each in taken:
                each.end(error)
        finally:
            self._release(queue)

    async def _answer_alone(self, target: Target, waiting: _Waiting) -> None:
        if waiting.answer.done():
            return
        content_type, body = waiting.part.content_type, waiting.body
        try:
            waiting.end(await self._pool.post(target, content_type, body, waiting.headers))
        except Exception as error:
            waiting.end(error)

    async def _answer_together(self, target: Target, taken: list[_Waiting]) -> bool:
        """Whether everybody has an answer.

        Raises:
            NoAnswer, TimeoutError: there is none, for anybody.
        """
        parts = [each.part for each in taken]
        rows = [len(part.rows) for part in parts]
        version = target.version
        answer = await self._pool.post(target, parts[0].content_type, join(parts), [])
        if answer.status == 200:
            try:
                bodies = split(answer.body, rows)
            except WrongLength as error:
                if version not in self._shut:
                    self._shut.add(version)
                    self._report(version, f"for requests that went together {error}")
            else:
                self._counters.batch(version, len(parts), sum(rows))
                for each, body in zip(taken, bodies, strict=True):
                    each.end(Answer(200, [*answer.headers], body))
                return True
        self._counters.failed_batch(version)
        return False
