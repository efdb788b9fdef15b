"""The pool of front workers."""

import asyncio
from typing import Any, cast

import pytest

from hotserve.ipc.messages import Configure
from hotserve.manager.metrics import Metrics, State
from hotserve.manager.worker_pool import WorkerPool


def nothing() -> State:
    return State(model={}, ready=False, switches=0, failed_starts=0, worker_restarts=0)


def test_no_worker_is_started_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    async def start(*arguments: str, **_: Any) -> None:
        begun.append(arguments)
        raise OSError(11, "no more processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)

    async def stop_at_once() -> None:
        pool = WorkerPool(4, [], cast(Configure, None), Metrics(nothing))
        pool.start()
        await pool.stop(60)

    asyncio.run(stop_at_once())
    assert begun == []
