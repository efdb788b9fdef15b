"""The guard leaves no process behind, whoever dies first. Real processes."""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hotserve.processes import guard
from hotserve.processes.guarded_process import Exit, GuardedProcess, ProcessContext, run_to_end

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
from hotserve.processes.guarded_process import GuardedProcess, ProcessContext
async def main():
    await GuardedProcess.start(
        [sys.executable, "-c", sys.argv[1]], ProcessContext(os.environ, Path(sys.argv[2]))
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
        [sys.executable, "-c", code], ProcessContext(environment, log)
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


GUARD_KILLED = """
import asyncio, ctypes, os, sys
from pathlib import Path
from hotserve.processes.guarded_process import GuardedProcess, ProcessContext
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # as hotserve does: what is orphaned becomes ours
command, log, mark = sys.argv[1:]
async def main():
    context = ProcessContext({**os.environ, "MARK": mark}, Path(log))
    process = await GuardedProcess.start([sys.executable, "-c", command], context)
    while not (Path(log).exists() and "ready" in Path(log).read_text()):
        await asyncio.sleep(0.02)
    process._guard.kill()
    end = await process.exited
    print(end.reason(), flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


def test_what_a_killed_guard_leaves_behind_is_ended_by_the_manager(tmp_path: Path) -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    command = f"import subprocess, sys, time; {child}; print('ready', flush=True); time.sleep(600)"
    log, mark = tmp_path / "log", str(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", GUARD_KILLED, command, str(log), mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as manager:
        assert manager.stdout is not None
        try:
            assert manager.stdout.readline() == "its guard was killed\n"
            # While the manager is alive: the next start may not find the port or files in use.
            assert marked(mark) == []
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


@pytest.mark.anyio
async def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    async def give_up_after(seconds: float) -> None:
        starting = asyncio.create_task(
            start("import time; time.sleep(600)", tmp_path / "log", str(tmp_path))
        )
        await asyncio.sleep(seconds)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await starting).stop(grace=0)

    # From before there is a guard until after it has begun.
    for number in range(20):
        await give_up_after(number / 100)
    # Seen while the manager is alive: its end would end them in any case.
    await asyncio.to_thread(eventually, lambda: not marked(str(tmp_path)))


def end_of(code: str, log: Path) -> Exit:
    async def scenario() -> Exit:
        return await (await start(code, log)).exited

    return asyncio.run(scenario())


PRELUDE = "import os, sys; write = sys.stdout.buffer.write; "
BAR = "'a: 0%|  | 0/2\\ra: 100%|██| 2/2 [00:00<00:00, 9.5it/s]'"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('hello'); raise OSError('no file')", "ended with code 1: OSError: no file"),
        ("os.kill(os.getpid(), 9)", "ended by SIGKILL"),
        ("sys.exit(3)", "ended with code 3"),
        ("os._exit(4)", "ended with code 4"),
        ("print('KeyError: 3', flush=True); os._exit(4)", "ended with code 4: KeyError: 3"),
        ("raise MemoryError", "ended with code 1: MemoryError"),
        # A progress bar writes over itself and has no line end of its own.
        (f"print({BAR}, end='', flush=True); os._exit(4)", "ended with code 4"),
        ("write(b'Error: n\\xe3o\\r\\n'); sys.exit(2)", "ended with code 2: Error: não"),
        # A line without an end, megabytes long, drives out nothing.
        ("print('Error: a\\n' + 'x' * 9_000_000); sys.exit(5)", "ended with code 5: Error: a"),
        (
            "write(b'\\0\\xff' * 9999 + b'\\n\\0\\n' * 99 + b'--'); sys.exit(6)",
            "ended with code 6",
        ),
    ],
)
def test_the_reason_of_an_end_is_its_code_and_its_last_error(
    tmp_path: Path, code: str, reason: str
) -> None:
    assert end_of(PRELUDE + code, tmp_path / "log").reason() == reason


def test_the_log_has_everything_as_it_was_written(tmp_path: Path) -> None:
    code = "write(b'10%\\r20%\\nn\\xe3o\\n' + b'y' * 200_000 + b'\\nend')"
    assert end_of(PRELUDE + code, tmp_path / "log").tail[-1] == "end"
    written = (tmp_path / "log").read_bytes()
    assert written.startswith(b"10%\r20%\nn\xe3o\ny")
    assert written.count(b"y") == 200_000
    assert written.endswith(b"\nend\n")


TRACE = "Traceback (most recent call last):"
LAUNCHER = "Exception: Command 'x' returned non zero return code. Return code = "
FAILURES = "mlflow.exceptions.MlflowException: The following failures occurred while downloading:"
BELOW = ("##### File model.pkl #####", "[Errno 28] No space left on device")


@pytest.mark.parametrize(
    ("code", "tail", "reason"),
    [
        # What the launcher of the server process writes does not hide what that one wrote.
        (
            1,
            ("bash: exec: uvicorn: not found", TRACE, LAUNCHER + "127"),
            "ended with code 127: bash: exec: uvicorn: not found",
        ),
        (1, ("INFO: running", TRACE, LAUNCHER + "-9", ""), "ended by SIGKILL"),
        (1, ("ImportError: no x", TRACE, LAUNCHER + "3"), "ended with code 3: ImportError: no x"),
        (1, ("loading", TRACE, LAUNCHER + "-15"), "ended by SIGTERM"),
        (1, ("INFO:     Uvicorn running", TRACE, LAUNCHER + "1"), "ended with code 1"),
        (3, ("2026/11/23 12:25:01 INFO mlflow: x",), "ended with code 3"),
        (-250, ("x",), "ended with code -250"),
        (None, (), "its guard was killed"),
        # Of several errors the last, whatever stands below it.
        (1, ("OSError: a", "KeyError: b", "bye", "-" * 40), "ended with code 1: KeyError: b"),
        (1, ("SystemExit: 3", "=" * 40), "ended with code 1: SystemExit: 3"),
        (1, (TRACE, "zipfile.BadZipFile: no zip"), "ended with code 1: zipfile.BadZipFile: no zip"),
        (0, ("all done",), "ended with code 0"),
        (1, ("all done", "━━━━ 12 kB"), "ended with code 1: all done"),
        # MLflow's list of what failed stands below its error.
        (1, ("INFO: x", FAILURES, *BELOW, ""), " ".join(["ended with code 1:", FAILURES, *BELOW])),
        (1, ("ValueError: no model", *BELOW), "ended with code 1: ValueError: no model"),
        (1, ("ValueError: " + "x" * 999,), "ended with code 1: ValueError: " + "x" * 488),
    ],
)
def test_the_reason_in_the_last_lines(code: int | None, tail: tuple[str, ...], reason: str) -> None:
    assert Exit(code, tail).reason() == reason


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def scenario() -> Exit:
        process = await GuardedProcess.start(
            ["/no/such/program"], ProcessContext({}, tmp_path / "log")
        )
        return await process.exited

    end = asyncio.run(scenario())
    assert end.reason() == "ended with code 127: /no/such/program: No such file or directory"


def test_what_the_machine_has_no_room_for_has_ended_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def scenario() -> None:
        context = ProcessContext({}, tmp_path / "log")
        process = await GuardedProcess.start(["mlflow"], context)
        end = await process.stop(grace=0)
        assert end == await run_to_end(["mlflow"], context, timeout=60)
        assert end.reason() == "ended with code 127: mlflow: Too many open files"

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    asyncio.run(scenario())


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [0.05, 0.0])
async def test_a_command_with_a_time_limit_leaves_nothing(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        await run_to_end(
            [sys.executable, "-c", "import time; time.sleep(600)"],
            ProcessContext({**os.environ, "MARK": str(tmp_path)}, tmp_path / "log"),
            timeout=seconds,
        )
    assert marked(str(tmp_path)) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("then", "runs"),
    [
        ("kill -9 $$", 3),
        ("if [ $(wc -l < runs) -eq 2 ]; then echo '{}'; exit 0; fi; kill -9 $$", 2),
        ("echo '{}'; kill -9 $$", 1),
        ("exit 1", 1),
    ],
    ids=["killed", "killed once", "killed behind its answer", "fault"],
)
async def test_a_command_that_was_killed_is_tried_again(
    tmp_path: Path, then: str, runs: int
) -> None:
    argv = ["sh", "-c", f"cd {tmp_path}; echo >> runs; {then}"]
    context = ProcessContext({"PATH": os.environ["PATH"]}, tmp_path / "log")
    await run_to_end(argv, context, timeout=60, tries=3)
    assert len((tmp_path / "runs").read_text()) == runs


def test_without_a_log_each_line_is_shown_with_whose_it_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    output = guard.Output(None, "[7] ")
    output.write(b"one\ntwo\nthr")
    output.write(b"ee")
    output.close()
    assert capfd.readouterr().err == "[7] one\n[7] two\n[7] three\n"
    assert list(output.tail) == ["one", "two", "three"]


def test_the_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    output = guard.Output(str(tmp_path / "log"), "")
    for _ in range(3 * guard.LOG_BYTES // 50_000):
        output.write(b"x" * 49_999 + b"\n")
    output.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2.1 * guard.LOG_BYTES
    assert len(output.tail) == guard.TAIL_LINES


def test_a_loop_that_ends_does_not_wait_for_ever_for_a_command(tmp_path: Path) -> None:
    script = tmp_path / "manager.py"
    script.write_text(
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from hotserve.processes.guarded_process import GuardedProcess, ProcessContext\n"
        "async def hold(process):\n"
        "    try:\n"
        "        await asyncio.shield(process.exited)\n"
        "    finally:\n"
        "        await process.stop(0.5)\n"
        "async def main():\n"
        "    context = ProcessContext(os.environ, Path(os.devnull))\n"
        "    sleeping = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "    process = await GuardedProcess.start(sleeping, context)\n"
        "    task = asyncio.create_task(hold(process))\n"
        "    await asyncio.sleep(0)\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, str(script)], timeout=60, check=False).returncode == 0
