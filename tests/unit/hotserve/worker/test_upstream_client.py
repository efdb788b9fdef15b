"""A request and processes that end while they have it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import pytest

from hotserve.inputs.model_input import TextInput
from hotserve.ipc.messages import Batching, Prepare, Target
from hotserve.ipc.shared_version import SharedVersion
from hotserve.redaction import Redactor
from hotserve.worker.answer import Answer
from hotserve.worker.auth import Auth
from hotserve.worker.cors import Cors
from hotserve.worker.counters import Counters
from hotserve.worker.errors import FaultLog, RequestError
from hotserve.worker.serving import Prepared, Serving
from hotserve.worker.shared import Shared
from hotserve.worker.upstream.batcher import Batcher
from hotserve.worker.upstream.client import UpstreamClient
from hotserve.worker.upstream.pool import ConnectionPool, NoAnswer
from tests.unit.hotserve.samples import CONFIGURE
from tests.unit.hotserve.worker.front_worker import until

pytestmark = pytest.mark.anyio

BODY = b'{"inputs": ["boneca"]}'


@dataclass
class Manager:
    """Says which process is to be asked."""

    shared: SharedVersion = field(default_factory=SharedVersion.create)
    wakes: int = 0

    def __post_init__(self) -> None:
        self.serving = Serving(lambda _: None, self.wake, self.shared)

    def wake(self) -> None:
        self.wakes += 1

    def say(
        self,
        generation: int | None,
        *,
        hold: bool = False,
        asleep: bool = False,
        batching: Batching | None = None,
    ) -> None:
        target = None
        if generation is not None:
            target = Target(generation, 1, str(generation), "3.0", TextInput("texts", ()))
        number = self.shared.words[0] + 1
        model = {"message": "is being started again"}
        self.serving.prepare(Prepared(Prepare(number, target, model, hold, asleep, None, batching)))
        self.shared.words[0] = number
        self.serving.now()


@dataclass
class Processes:
    """Does one step of a script for each request that is sent, in the place of a ConnectionPool."""

    steps: list[Callable[[], None]]
    asked: list[str] = field(default_factory=list)
    timeout = 60.0

    async def post(self, target: Target, *_: Any) -> Answer:
        self.asked.append(target.version)
        self.steps.pop(0)()
        return Answer(200, [], b'{"predictions": ["brinquedo"]}')


def lost(*, refused: bool = False, then: Callable[[], None] | None = None) -> Callable[[], None]:
    """The connection ends; `then` is what the manager says soon after."""

    def step() -> None:
        if then is not None:
            asyncio.get_running_loop().call_soon(then)
        raise NoAnswer(refused=refused)

    return step


def answers() -> None:
    """It answers."""


def shared(hold_timeout: float) -> Shared:
    settings = replace(CONFIGURE, hold_timeout=hold_timeout)
    return Shared(settings, Auth(None), Cors([]), Counters(), FaultLog(print), None)


def client(manager: Manager, processes: Processes, hold_timeout: float) -> UpstreamClient:
    batcher = Batcher(cast(ConnectionPool, processes), Counters(), lambda *_: None)
    own = (manager.serving, Counters(), batcher)
    return UpstreamClient(shared(hold_timeout), *own, Redactor([]))


async def ask(
    manager: Manager, processes: Processes, hold_timeout: float = 60.0, body: bytes = BODY
) -> str:
    upstream = client(manager, processes, hold_timeout)
    return (await upstream.answer(b"application/json", body, [])).version


async def test_a_process_that_is_slow_to_go_costs_no_request() -> None:
    manager = Manager()
    manager.say(1)
    # It is asked twice more before the manager knows, and the next one ends as well.
    processes = Processes(
        [
            lost(),
            lost(refused=True, then=lambda: manager.say(2)),
            lost(then=lambda: manager.say(3)),
            answers,
        ]
    )
    assert await ask(manager, processes) == "3"
    assert processes.asked == ["1", "1", "2", "3"]


@pytest.mark.parametrize("moves_on", [True, False], ids=["three in turn", "three of one server"])
async def test_a_request_that_ends_every_process_is_given_up(moves_on: bool) -> None:
    manager = Manager()
    manager.say(1)
    processes = Processes(
        [lost(then=partial(manager.say, n) if moves_on else None) for n in range(2, 9)]
    )
    with pytest.raises(RequestError, match="ended while it answered this request") as error:
        await ask(manager, processes)
    assert error.value.answer.status == 503
    assert len(processes.asked) == 3


async def test_nobody_there_for_as_long_as_a_request_is_held_is_told() -> None:
    manager = Manager()
    manager.say(1)
    gone = lost(refused=True, then=lambda: manager.say(None, hold=True))
    with pytest.raises(RequestError, match="is being started again"):
        await ask(manager, Processes([gone]), hold_timeout=0.05)


async def test_a_request_that_saw_a_process_end_goes_by_itself() -> None:
    manager = Manager()
    batching = Batching(1, ("inputs",), {})
    manager.say(1, batching=batching)
    held = asyncio.Event()

    class Process(Processes):
        async def post(self, *arguments: Any) -> Answer:
            body = arguments[2].decode()
            self.asked.append(body)
            if not held.is_set():
                await held.wait()
            elif len(json.loads(body)["inputs"]) > 1:
                asyncio.get_running_loop().call_soon(partial(manager.say, 2, batching=batching))
                raise NoAnswer(refused=False)
            return Answer(200, [], b'{"predictions": ["brinquedo"]}')

    process = Process([])
    upstream = client(manager, process, 60.0)
    bodies = [b'{"inputs": ["%d"]}' % number for number in range(4)]
    asked = [asyncio.create_task(upstream.answer(b"application/json", body, [])) for body in bodies]
    await until(lambda: process.asked)
    held.set()
    assert {(await each).version for each in asked} == {"1", "2"}
    alone = [body.decode() for body in bodies]
    assert process.asked == [alone[0], '{"inputs": ["1", "2", "3"]}', *alone[1:]]


async def test_another_number_of_answers_than_of_products_is_an_error() -> None:
    manager = Manager()
    manager.say(1)
    with pytest.raises(RequestError, match="the model gave 1 answers to 2 products") as error:
        await ask(manager, Processes([answers]), body=b'{"inputs": ["boneca", "halo"]}')
    assert error.value.answer.status == 500


async def test_an_answer_to_no_product_is_no_answer() -> None:
    manager = Manager()
    manager.say(1)
    empty = b'{"dataframe_split": {"columns": ["nome"], "data": []}}'
    with pytest.raises(RequestError, match="there is no product in the body") as error:
        await ask(manager, Processes([answers]), body=empty)
    assert error.value.answer.status == 400


async def test_a_process_that_sleeps_is_woken_and_answers() -> None:
    manager = Manager()
    manager.say(None, hold=True, asleep=True)
    # Longer than a request is held for a process that died.
    asked = asyncio.create_task(ask(manager, Processes([answers]), hold_timeout=0.0))
    await until(lambda: manager.wakes)
    # It is on its way, and something else has changed meanwhile.
    manager.say(None, hold=True, asleep=True)
    await asyncio.sleep(0.01)
    assert not asked.done()
    manager.say(2)
    assert await asked == "2"


@pytest.mark.parametrize("wakes", [True, False], ids=["it is slow to answer", "it stays away"])
async def test_a_process_that_sleeps_answers_within_a_request_s_own_time(wakes: bool) -> None:
    manager = Manager()
    manager.say(None, hold=True, asleep=True)

    class Slow(Processes):
        timeout = 0.05

        async def post(self, *_: Any) -> Answer:
            await asyncio.sleep(60)
            raise AssertionError

    asked = asyncio.create_task(ask(manager, Slow([])))
    await until(lambda: manager.wakes)
    if wakes:
        manager.say(2)
    with pytest.raises(RequestError, match="was asleep and did not answer in time") as error:
        await asked
    assert error.value.answer.status == 504


async def test_a_process_that_will_not_wake_is_told() -> None:
    manager = Manager()
    manager.say(None, hold=True, asleep=True)
    asked = asyncio.create_task(ask(manager, Processes([])))
    await until(lambda: manager.wakes)
    manager.say(None, hold=True)
    await asyncio.sleep(0.01)
    assert not asked.done()
    manager.say(None)
    with pytest.raises(RequestError, match="is being started again") as error:
        await asked
    assert error.value.answer.status == 503
