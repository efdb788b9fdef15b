"""Requests that wait go together, and each gets its own answer whatever happens to the others."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotserve.batching.requests import MOST_ROWS
from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Batching, Target
from hotserve.worker.answer import JSON, Answer, Headers
from hotserve.worker.counters import Counters
from hotserve.worker.upstream.batcher import Batcher
from hotserve.worker.upstream.pool import ConnectionPool, NoAnswer
from tests.support.fake_clock import fake_clock, now
from tests.unit.hotserve.worker.front_worker import settle, until

pytestmark = pytest.mark.anyio

TARGET = Target(1, 1, "7", "3.17", TextInput("table"))
FORMS = ("text/csv", "dataframe_split", "dataframe_records", "inputs", "instances")
BATCHING = Batching(1, FORMS, {})
BAD, ENDS, SLOW, SHORT, MORE = -1, -2, -3, -4, -5
"""Rows at which the model raises, its process ends, it never answers, it leaves a row out, or says
more than its predictions."""


@dataclass
class Model:
    """Stands for the pool: answers ten times each row, while its gate is open.

    Attributes:
        sent: the rows of each request that came.
        busy: requests under way.
    """

    timeout: float = 60.0
    sent: list[list[int]] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0

    async def post(
        self, target: Target, content_type: bytes, body: bytes, headers: Headers
    ) -> Answer:
        rows = rows_of(content_type, body)
        self.sent.append(rows)
        self.headers.append(headers)
        self.busy += 1
        try:
            async with asyncio.timeout(self.timeout):
                await self.gate.wait()
                if SLOW in rows:
                    await asyncio.Event().wait()
        finally:
            self.busy -= 1
        if ENDS in rows:
            raise NoAnswer(refused=False)
        if BAD in rows:
            return Answer(400, [JSON], json.dumps({"message": f"bad {rows}"}).encode())
        told: dict[str, Any] = {"predictions": [10 * row for row in rows if row != SHORT]}
        if MORE in rows:
            told["trace"] = 1
        return Answer(
            200, [JSON, (b"x-version", target.version.encode())], json.dumps(told).encode()
        )


def rows_of(content_type: bytes, body: bytes) -> list[int]:
    if content_type == b"text/csv":
        return [int(line) for line in body.decode().splitlines()[1:]]
    [(name, data)] = json.loads(body).items()
    if name == "dataframe_split":
        return [row[0] for row in data["data"]]
    if name == "dataframe_records":
        return [row["a"] for row in data]
    return list(data)


def request(form: str, rows: Sequence[int]) -> tuple[bytes, bytes]:
    if form == "text/csv":
        return b"text/csv", "\n".join(["a", *map(str, rows)]).encode()
    data: Any = list(rows)
    if form == "dataframe_split":
        data = {"columns": ["a"], "data": [[row] for row in rows]}
    elif form == "dataframe_records":
        data = [{"a": row} for row in rows]
    return b"application/json", json.dumps({form: data}).encode()


@dataclass
class Bench:
    """A batcher before the model.

    Attributes:
        reports: what it told the manager.
    """

    model: Model = field(default_factory=Model)
    counters: Counters = field(default_factory=Counters)
    reports: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        pool = cast(ConnectionPool, self.model)
        self.batcher = Batcher(pool, self.counters, lambda *told: self.reports.append(told))

    def ask(
        self,
        *rows: int,
        form: str = "inputs",
        batching: Batching | None = BATCHING,
        target: Target = TARGET,
        headers: Headers | None = None,
    ) -> asyncio.Task[Answer]:
        asked = self.batcher.post(target, batching, *request(form, rows), headers or [])
        return asyncio.create_task(asked)

    async def busy(self) -> asyncio.Task[Answer]:
        """With one request under way that ends when the gate opens."""
        first = self.ask(0)
        await until(lambda: self.model.busy == 1)
        return first


async def answers(*asked: Awaitable[Answer]) -> list[Any]:
    """The predictions of each, or its status, or its exception's name."""
    found = list[Any]()
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(answer, BaseException):
            found.append(type(answer).__name__)
        elif answer.status != 200:
            found.append(answer.status)
        else:
            found.append(json.loads(answer.body)["predictions"])
    return found


async def test_where_the_process_is_free_a_request_goes_at_once_and_as_it_came() -> None:
    bench = Bench()
    bench.model.gate.set()
    mine = [(b"x-mine", b"1")]
    assert await answers(bench.ask(1, headers=mine)) == [[10]]
    assert await answers(bench.ask(2, headers=mine)) == [[20]]
    assert (bench.model.sent, bench.model.headers) == ([[1], [2]], [mine, mine])
    assert "batches" not in bench.counters.take()


async def company() -> Bench:
    """With a joint request of two that was answered last, and the gate open."""
    bench = Bench()
    first = await bench.busy()
    asked = [bench.ask(n) for n in (1, 2)]
    await settle()
    bench.model.gate.set()
    await asyncio.gather(first, *asked)
    assert bench.model.sent == [[0], [1, 2]]
    return bench


async def test_those_that_were_answered_together_go_together_again() -> None:
    bench = await company()
    for begin in (10, 20):
        asked = [bench.ask(begin + n) for n in range(4)]
        assert await answers(*asked) == [[10 * (begin + n)] for n in range(4)]
    # Nobody went ahead of the others, although the process was free.
    assert bench.model.sent == [[0], [1, 2], [10, 11, 12, 13], [20, 21, 22, 23]]
    # One that comes by itself goes by itself.
    for number in (30, 31):
        assert await answers(bench.ask(number)) == [[10 * number]]
    assert bench.model.sent[4:] == [[30], [31]]


async def test_whoever_is_at_the_door_does_not_hold_up_the_others_for_ever() -> None:
    bench = await company()
    asked = []
    while len(bench.model.sent) < 3:
        asked.append(bench.ask(1))
        await asyncio.sleep(0)
    assert MOST_ROWS <= len(asked) < 2 * MOST_ROWS
    assert await answers(*asked) == [[10]] * len(asked)


@pytest.mark.parametrize("form", FORMS)
async def test_those_that_wait_go_together_and_each_gets_its_own_rows(form: str) -> None:
    bench = Bench()
    first = await bench.busy()
    asked = [bench.ask(*rows, form=form) for rows in ([1], [2, 3], [4])]
    await settle()
    assert bench.model.sent == [[0]]
    bench.model.gate.set()
    assert await answers(first, *asked) == [[0], [10], [20, 30], [40]]
    assert bench.model.sent == [[0], [1, 2, 3, 4]]
    counts = bench.counters.take()
    assert (counts["batches"], counts["batch_rows"]) == ([["7", 3, 1]], [["7", 4]])


async def test_only_what_is_alike_goes_together_in_the_order_in_which_it_came() -> None:
    bench = Bench()
    await bench.busy()
    asked = [
        bench.ask(1),
        bench.ask(2, form="text/csv"),
        bench.ask(3),
        bench.ask(4, form="text/csv"),
        bench.ask(5, form="instances"),
    ]
    await settle()
    bench.model.gate.set()
    assert await answers(*asked) == [[10], [20], [30], [40], [50]]
    assert bench.model.sent == [[0], [1, 3], [2, 4], [5]]


async def test_no_more_rows_together_than_were_compared() -> None:
    bench = Bench()
    await bench.busy()
    asked = [bench.ask(*range(50)), bench.ask(*range(100)), bench.ask(*range(60)), bench.ask(1)]
    await settle()
    bench.model.gate.set()
    await asyncio.gather(*asked)
    assert [len(rows) for rows in bench.model.sent] == [1, 111, 100]


async def test_no_more_bytes_together_than_is_good_for_a_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hotserve.worker.upstream.batcher.MOST_BYTES", 300)
    bench = Bench()
    await bench.busy()
    rows = [10**n for n in range(4)] * 5
    asked = [bench.ask(*rows) for _ in range(12)]
    await settle()
    bench.model.gate.set()
    assert await answers(*asked) == [[10 * row for row in rows]] * 12
    sizes = [len(json.dumps(sent)) for sent in bench.model.sent[1:]]
    assert len(sizes) < 12
    assert all(size <= 310 for size in sizes), sizes


async def test_another_version_and_another_form_go_by_themselves() -> None:
    bench = Bench()
    await bench.busy()
    newer = Target(2, 1, "8", "3.17", TextInput("table"))
    asked = [
        bench.ask(1, target=newer),
        bench.ask(2, batching=None),
        bench.ask(3, form="instances", batching=Batching(1, ("inputs",), {})),
    ]
    await settle()
    # At once, although the process is busy.
    assert bench.model.sent == [[0], [1], [2], [3]]
    bench.model.gate.set()
    assert await answers(*asked) == [[10], [20], [30]]


async def test_as_many_at_a_time_as_there_are_processes() -> None:
    bench = Bench()
    two = Batching(2, FORMS, {})
    asked = [bench.ask(n, batching=two) for n in range(1, 7)]
    await settle()
    assert bench.model.sent == [[1], [2]]
    bench.model.gate.set()
    assert await answers(*asked) == [[10 * n] for n in range(1, 7)]


async def test_a_row_that_fails_does_not_hurt_its_neighbours() -> None:
    bench = Bench()
    await bench.busy()
    asked = [bench.ask(1, headers=[(b"x-mine", b"1")]), bench.ask(BAD), bench.ask(2)]
    await settle()
    bench.model.gate.set()
    assert await answers(*asked) == [[10], 400, [20]]
    assert bench.model.sent == [[0], [1, BAD, 2], [1], [BAD], [2]]
    # None of a joint request's own, and all of each one's.
    assert bench.model.headers[1:3] == [[], [(b"x-mine", b"1")]]
    assert bench.counters.take()["failed_batches"] == [["7", 1]]
    assert await answers(bench.ask(3)) == [[30]]


@pytest.mark.parametrize(
    ("row", "its_own", "why"),
    [
        (SHORT, [], "it gave 2 predictions for 3 rows"),
        (MORE, [10 * MORE], "its answer has something else than 'predictions'"),
    ],
)
async def test_it_shuts_at_the_first_answer_that_is_not_one_for_each_row(
    row: int, its_own: list[int], why: str
) -> None:
    bench = Bench()
    await bench.busy()
    asked = [bench.ask(1), bench.ask(row), bench.ask(2)]
    queued = [bench.ask(n, form="instances") for n in (6, 7)]
    await settle()
    bench.model.gate.set()
    assert await answers(*asked, *queued) == [[10], its_own, [20], [60], [70]]
    assert [6, 7] not in bench.model.sent
    assert bench.reports == [("7", f"for requests that went together {why}")]
    bench.model.gate.clear()
    more = [bench.ask(n) for n in (3, 4, 5)]
    await settle()
    assert bench.model.sent[-3:] == [[3], [4], [5]]
    bench.model.gate.set()
    assert await answers(*more) == [[30], [40], [50]]


async def test_when_the_process_ends_everybody_is_told_so_and_can_ask_again() -> None:
    bench = Bench()
    await bench.busy()
    asked = [bench.ask(1), bench.ask(ENDS)]
    await settle()
    bench.model.gate.set()
    assert await answers(*asked) == ["NoAnswer", "NoAnswer"]
    assert await answers(bench.ask(3)) == [[30]]


async def test_a_client_that_went_away_takes_nobody_along() -> None:
    bench = Bench()
    await bench.busy()
    gone, left = bench.ask(1), bench.ask(2)
    later = bench.ask(3)
    await settle()
    gone.cancel()
    await settle()
    bench.model.gate.set()
    assert await answers(left, later) == [[20], [30]]
    assert bench.model.sent == [[0], [2, 3]]


async def test_each_keeps_its_own_deadline_and_nobody_waits_behind_what_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hotserve.worker.upstream.batcher._PATIENCE", 0.02)
    bench = Bench(Model(timeout=0.3))
    bench.model.gate.set()
    hangs = bench.ask(SLOW)
    await until(lambda: bench.model.busy == 1)
    assert await answers(*[bench.ask(n) for n in (1, 2)]) == [[10], [20]]
    assert await answers(hangs) == ["TimeoutError"]
    bench.model.gate.clear()
    first = await bench.busy()
    assert await answers(first, bench.ask(1), bench.ask(2)) == ["TimeoutError"] * 3
    bench.model.gate.set()
    assert await answers(bench.ask(3)) == [[30]]


EVENTS = (BAD, ENDS, SHORT, SLOW, "cancel", "open", "close", "later")


@settings(max_examples=100, deadline=None)
@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from(FORMS),
            st.lists(st.integers(1, 10**6), min_size=1, max_size=5),
            st.sampled_from([None] * 6 + [*EVENTS]),
            st.integers(1, 2),
        ),
        max_size=40,
    ),
    slots=st.integers(1, 3),
)
def test_whatever_is_mixed_everybody_gets_the_own_answer_within_the_own_time(
    asked: list[tuple[str, list[int], Any, int]], slots: int
) -> None:
    ended: dict[int, float] = {}

    async def timed(number: int, asking: asyncio.Task[Answer]) -> Answer:
        try:
            return await asking
        finally:
            ended[number] = now()

    @fake_clock
    async def play() -> None:
        bench = Bench()
        batching = Batching(slots, FORMS, {})
        tasks = []
        for number, (form, rows, event, generation) in enumerate(asked):
            if event == "open":
                bench.model.gate.set()
            elif event == "close":
                bench.model.gate.clear()
            elif event == "later":
                await asyncio.sleep(25)
            sent = [*rows, event] if isinstance(event, int) else rows
            target = Target(generation, 1, str(generation), "3", TextInput("table"))
            asking = bench.ask(*sent, form=form, batching=batching, target=target)
            task = asyncio.create_task(timed(number, asking))
            tasks.append((task, now(), sent, event, str(generation)))
            await asyncio.sleep(0)
            if event == "cancel":
                task.cancel()
            if event == "open":
                await settle()
        bench.model.gate.set()
        for number, (task, begun, rows, event, version) in enumerate(tasks):
            [found] = await answers(task)
            took = ended.get(number, begun) - begun
            assert took <= bench.model.timeout
            if event == "cancel":
                assert found in ("CancelledError", [10 * row for row in rows])
            elif found == "TimeoutError":
                assert took == bench.model.timeout
            elif found == "NoAnswer":
                assert any(ENDS in each for each in bench.model.sent)
            elif event == BAD:
                assert found == 400
            else:
                assert event != SLOW
                assert found == [10 * row for row in rows if row != SHORT]
                assert (b"x-version", version.encode()) in task.result().headers
        await asyncio.sleep(2 * bench.model.timeout)
        assert bench.model.busy == 0
        queues = bench.batcher._queues.values()
        assert not any(queue.waiting or queue.under_way for queue in queues)

    play()
