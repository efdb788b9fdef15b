"""The guard leaves no process behind, whoever dies first. Real processes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from hotserve.processes import guard
from hotserve.processes.guarded_process import Exit, GuardedProcess

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
# A grandchild in a session of its own, whose parent is gone at once.
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.run(["setsid", "--fork", sys.executable, "-c", child])
print("ready", flush=True)
time.sleep(600)
"""

MANAGER = """
import asyncio, os, sys
from pathlib import Path
from hotserve.processes.guarded_process import GuardedProcess
async def main():
    await GuardedProcess.start(
        [sys.executable, "-c", sys.argv[1]], environment=os.environ, log=Path(sys.argv[2]), label=""
    )
    await asyncio.sleep(600)
asyncio.run(main())
"""


def marked(mark: str) -> list[psutil.Process]:
    """Living processes with the variable MARK."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != "zombie" and process.environ().get("MARK") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def eventually(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def start(code: str, log: Path, mark: str = "") -> GuardedProcess:
    environment = {**os.environ, "MARK": mark}
    return await GuardedProcess.start(
        [sys.executable, "-c", code], environment=environment, log=log, label=""
    )


def is_ready(log: Path) -> bool:
    return log.exists() and "ready" in log.read_text()


def manager_in(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A process that runs the stubborn command under a guard, and the mark of the family."""
    mark = str(folder)
    manager = subprocess.Popen(
        [sys.executable, "-c", MANAGER, STUBBORN, str(folder / "log")],
        env={**os.environ, "MARK": mark},
    )
    eventually(lambda: is_ready(folder / "log"))
    # The manager, guard, command and grandchild, which may not yet be the program it becomes.
    eventually(lambda: len(marked(mark)) == 4)
    return manager, mark


def test_nothing_is_left_when_the_manager_is_killed(tmp_path: Path) -> None:
    manager, mark = manager_in(tmp_path)
    manager.kill()
    manager.wait()
    eventually(lambda: not marked(mark))


def test_the_command_ends_even_when_manager_and_guard_are_killed(tmp_path: Path) -> None:
    manager, mark = manager_in(tmp_path)
    [keeper] = psutil.Process(manager.pid).children()
    [command] = [p for p in keeper.children() if STUBBORN in p.cmdline()]
    try:
        manager.kill()
        keeper.kill()
        manager.wait()
        psutil.wait_procs([command], timeout=120)
        assert not command.is_running() or command.status() == psutil.STATUS_ZOMBIE
    finally:
        for left in marked(mark):
            left.kill()


def test_stop_ends_what_ignores_sigterm(tmp_path: Path) -> None:
    async def scenario() -> Exit:
        process = await start(STUBBORN, tmp_path / "log", str(tmp_path))
        while not is_ready(tmp_path / "log"):
            await asyncio.sleep(0.02)
        return await process.stop(grace=0.2)

    assert asyncio.run(scenario()).code == -signal.SIGKILL
    assert marked(str(tmp_path)) == []


def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    async def give_up_after(seconds: float) -> None:
        starting = asyncio.create_task(
            start("import time; time.sleep(600)", tmp_path / "log", str(tmp_path))
        )
        await asyncio.sleep(seconds)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await starting).stop(grace=0)

    async def scenario() -> None:
        # From before there is a guard until after it has begun.
        for number in range(20):
            await give_up_after(number / 100)
        # Seen while the manager is alive: its end would end them in any case.
        await asyncio.to_thread(eventually, lambda: not marked(str(tmp_path)))

    asyncio.run(scenario())


def test_the_reason_of_an_end_is_its_last_error(tmp_path: Path) -> None:
    async def end_of(code: str) -> Exit:
        return await (await start(code, tmp_path / "log")).exited

    failed = asyncio.run(end_of("print('hello'); raise ValueError('no such file')"))
    assert (failed.code, failed.reason()) == (1, "ValueError: no such file")
    killed = asyncio.run(end_of("import os; os.kill(os.getpid(), 9)"))
    assert (killed.code, killed.reason()) == (-9, "ended by SIGKILL")
    assert asyncio.run(end_of("raise SystemExit(3)")).reason() == "ended with code 3"
    assert Exit(None, ()).reason() == "its guard was killed"
    assert "ValueError: no such file" in (tmp_path / "log").read_text()


def test_a_launchers_last_word_does_not_hide_the_reason() -> None:
    launcher = "Exception: Command 'x' returned non zero return code. Return code = "
    trace = "Traceback (most recent call last):"
    assert Exit(1, ("bash: exec: uvicorn: not found", trace, launcher + "127")).reason() == (
        "bash: exec: uvicorn: not found"
    )
    assert Exit(1, ("INFO: running", trace, launcher + "-9")).reason() == "ended by SIGKILL"
    assert Exit(1, ("INFO:     Uvicorn running", trace, launcher + "1")).reason() == (
        "ended with code 1"
    )
    assert Exit(3, ("2026/11/23 12:25:01 INFO mlflow: x",)).reason() == "ended with code 3"
    assert Exit(1, ("ImportError: no x", trace, launcher + "1")).reason() == "ImportError: no x"


def test_a_reason_that_stands_below_the_error_is_told() -> None:
    told = "mlflow.exceptions.MlflowException: The following failures occurred while downloading:"
    below = ("##### File model.pkl #####", "[Errno 28] No space left on device", "")
    assert Exit(1, ("INFO: x", told, *below)).reason() == " ".join([told, *below[:2]])
    assert Exit(1, ("ValueError: no model", *below)).reason() == "ValueError: no model"


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def scenario() -> Exit:
        process = await GuardedProcess.start(
            ["/no/such/program"], environment={}, log=tmp_path / "log", label=""
        )
        return await process.exited

    assert asyncio.run(scenario()).reason() == "/no/such/program: No such file or directory"


def test_the_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    output = guard.Output(str(tmp_path / "log"), "")
    for _ in range(3 * guard.LOG_BYTES // 50_000):
        output.write(b"x" * 49_999 + b"\n")
    output.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2.1 * guard.LOG_BYTES
    assert len(output.tail) == guard.TAIL_LINES
