"""The way to a verdict: compile, compare, save; with helpers of the test's own."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hotserve.config.mlflow_command import parse
from hotserve.log import logger
from hotserve.manager.lane_opener import Installed, LaneOpener
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from hotserve.manager.verdict import NoVerdict
from hotserve.processes.guarded_process import Exit, ProcessContext
from tests.support.fake_clock import fake_clock

PYTHON = "/env/bin/python"
VERSIONS = {"python": "3.11.7", "executable": PYTHON}
CHECKED = {"forms": ["inputs"], "checksum": 77}


class Helpers:
    """Stands in for the processes that compile, compare and ask for versions.

    Attributes:
        ends: how each of them ends.
        runs: which of them were run.
        commands: with which arguments.
    """

    def __init__(self) -> None:
        self.ends: dict[str, Exit | Exception] = {
            "versions": Exit(0, ("noise", json.dumps(VERSIONS))),
            "compile": Exit(0, ("{}",)),
            "check": Exit(0, (json.dumps(CHECKED),)),
        }
        self.runs: list[str] = []
        self.commands: list[Sequence[str]] = []
        self.timeouts: list[float] = []

    async def run(
        self, argv: Sequence[str], context: ProcessContext, *, timeout: float, tries: int
    ) -> Exit:
        assert tries == 3
        if "-c" in argv:
            kind = "versions"
        elif argv[1].endswith("compile.py"):
            kind = "compile"
            Path(argv[3]).write_bytes(b"lane")
        else:
            kind = "check"
            assert "PYTHONPATH" in context.environment
        self.runs.append(kind)
        self.commands.append(argv)
        self.timeouts.append(timeout)
        end = self.ends[kind]
        if isinstance(end, Exception):
            raise end
        return end


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> Helpers:
    helpers = Helpers()
    monkeypatch.setattr("hotserve.manager.verdict.run_to_end", helpers.run)
    return helpers


Make = Callable[..., LaneOpener]


@pytest.fixture
def make(tmp_path: Path, helpers: Helpers) -> Make:
    assert helpers.runs == []

    def opener(*options: str) -> LaneOpener:
        options = options or ("--env-manager", "local")
        command = parse([PYTHON, "-m", "mlflow", "models", "serve", "-m", "x", *options], {})
        return LaneOpener(
            command,
            tmp_path / "model",
            LaneFiles(tmp_path / "lane"),
            ProcessContext({"A": "1"}, None),
        )

    return opener


def verdict_of(opener: LaneOpener) -> LaneVerdict:
    async def run() -> LaneVerdict:
        return await opener.verdict(8080)

    return asyncio.run(run())


def no_verdict(opener: LaneOpener) -> NoVerdict:
    with pytest.raises(NoVerdict) as error:
        verdict_of(opener)
    return error.value


def test_a_lane_is_compiled_compared_and_open(make: Make, helpers: Helpers, tmp_path: Path) -> None:
    verdict = verdict_of(make())
    assert verdict == LaneVerdict("open", forms=("inputs",), environment=VERSIONS, checksum=77)
    assert helpers.runs == ["compile", "check", "versions"]
    compiled = str(tmp_path / "lane" / "model.lane")
    assert helpers.commands[0][0] == PYTHON
    assert helpers.commands[0][2:] == [str(tmp_path / "model"), compiled]
    assert helpers.commands[1][0] == sys.executable
    assert helpers.commands[1][-2:] == [compiled, "8080"]
    assert helpers.timeouts == [120, 120, 30]


def test_the_next_start_compiles_nothing_and_compares_again(make: Make, helpers: Helpers) -> None:
    first = verdict_of(make())
    helpers.runs.clear()
    assert asyncio.run(make().saved_verdict()) == first
    assert helpers.runs == ["versions"]
    helpers.runs.clear()
    assert verdict_of(make()) == first
    assert helpers.runs == ["versions", "check"]


def test_versions_are_asked_for_once(make: Make, helpers: Helpers) -> None:
    verdict_of(make())
    helpers.runs.clear()
    opener = make()
    verdict_of(opener)
    verdict_of(opener)
    assert helpers.runs.count("versions") == 1


def test_after_an_upgrade_of_the_environment_it_is_compiled_again(
    make: Make, helpers: Helpers
) -> None:
    verdict_of(make())
    helpers.runs.clear()
    helpers.ends["versions"] = Exit(0, (json.dumps({**VERSIONS, "mlflow": "4"}),))
    assert asyncio.run(make().saved_verdict()) is None
    assert verdict_of(make()).environment["mlflow"] == "4"
    assert "compile" in helpers.runs


def test_an_environment_known_from_before_needs_no_process(make: Make, helpers: Helpers) -> None:
    verdict_of(make())
    opener = make("--env-manager", "uv")
    assert opener.python is None
    assert asyncio.run(opener.saved_verdict()) is not None
    assert helpers.commands[-1][0] == PYTHON


def test_a_model_that_is_not_for_the_lane_is_not_tried_again(make: Make, helpers: Helpers) -> None:
    helpers.ends["compile"] = Exit(3, ('{"reason": "no linear model"}',))
    assert verdict_of(make()).why == "no linear model"
    helpers.runs.clear()
    verdict = verdict_of(make())
    assert (verdict.state, verdict.why) == ("shut", "no linear model")
    assert helpers.runs == ["versions"]


def test_a_difference_shuts_the_lane_and_is_shown(make: Make, helpers: Helpers) -> None:
    difference = {"text": "é" * 200, "lane": "a", "model": "b"}
    helpers.ends["check"] = Exit(0, (json.dumps({"difference": difference}),))
    verdict = verdict_of(make())
    assert (verdict.state, verdict.difference) == ("shut", difference)
    assert verdict.why.endswith("the lane answers a, the model b")
    assert len(verdict.why) < 180
    assert asyncio.run(make().saved_verdict()) == verdict


@pytest.mark.parametrize(
    ("helper", "end", "reason"),
    [
        ("compile", Exit(2, ('{"error": "x can\'t be written"}',)), "failed: x can't be"),
        ("compile", Exit(1, ("boom",)), "compiling the model failed: ended with code 1: boom"),
        ("compile", Exit(-9, ()), "compiling the model failed: ended by SIGKILL"),
        ("compile", Exit(None, ()), "compiling the model failed: its guard was killed"),
        ("compile", TimeoutError(), "compiling the model took longer than 120 s"),
        ("check", Exit(0, ('{"error": "it is away"}',)), "it is away"),
        ("check", Exit(4, ()), "comparing its answers failed: ended with code 4"),
        ("check", Exit(0, ("noise",)), "comparing its answers came to nothing"),
        ("check", TimeoutError(), "comparing its answers took longer than 120 s"),
    ],
)
def test_where_there_is_no_verdict_nothing_is_saved(
    make: Make, helpers: Helpers, helper: str, end: Exit | Exception, reason: str
) -> None:
    helpers.ends[helper] = end
    assert reason in str(no_verdict(make()))
    assert asyncio.run(make().saved_verdict()) is None


def test_a_disk_that_compiling_filled_is_called_full(
    make: Make, helpers: Helpers, tmp_path: Path
) -> None:
    error = {"error": f"{tmp_path}/lane/model.lane can't be written: No space left on device"}
    helpers.ends["compile"] = Exit(2, (json.dumps(error),))
    full = f"compiling the model failed: the disk of {tmp_path / 'lane'} is full"
    assert str(no_verdict(make())) == full


def test_a_verdict_that_can_not_be_saved_counts_and_is_logged(
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, "hotserve")
    monkeypatch.setattr("hotserve.manager.lane_verdict.atomic_write", refuse)
    assert verdict_of(make()).is_open
    assert caplog.messages == [
        f"the next start will compile the model again: the disk of {tmp_path / 'lane'} is full"
    ]


def test_a_cache_that_can_not_be_written_is_no_verdict(make: Make, tmp_path: Path) -> None:
    (tmp_path / "lane").write_text("")
    assert "the cache can't be written to: File exists" in str(no_verdict(make()))


def test_without_a_python_there_is_no_verdict(make: Make, helpers: Helpers) -> None:
    assert "run it as 'python -m mlflow models serve …'" in str(no_verdict(make("-w", "2")))
    assert helpers.runs == []


@pytest.mark.parametrize(
    ("options", "known"),
    [
        (("--env-manager", "local"), True),
        (("--env-manager=local",), True),
        (("--no-conda",), True),
        (("--env-manager", "uv"), False),
        (("--env-manager", "local", "--env-manager", "uv"), False),
        (("--env-manager", "uv", "--no-conda"), True),
        (("-w", "2"), False),
    ],
)
def test_of_several_environment_managers_the_last_one_counts(
    make: Make, options: tuple[str, ...], known: bool
) -> None:
    assert (make(*options).python is not None) is known


def test_compiling_that_was_begun_is_used_and_ends_with_the_comparison(
    make: Make, helpers: Helpers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> Exit:
        helpers.runs.append("compile")
        return await asyncio.Future[Exit]()

    monkeypatch.setattr("hotserve.manager.verdict.run_to_end", never)

    async def run() -> None:
        opener = make()
        opener.begin()
        compiling = opener.compiling
        assert compiling is not None
        comparing = asyncio.create_task(opener.verdict(8080))
        await asyncio.sleep(0.01)
        comparing.cancel()
        await asyncio.wait([comparing])
        assert (comparing.cancelled(), compiling.cancelled()) == (True, True)
        assert helpers.runs == ["compile"]

    asyncio.run(run())


@fake_clock
async def test_what_is_installed_is_asked_once_for_all_models_and_again_after_a_minute() -> None:
    installed, asked = Installed(), list[str]()

    async def ask() -> dict[str, str]:
        asked.append("asked")
        await asyncio.sleep(1)
        if len(asked) == 1:
            raise NoVerdict("it was killed")
        return {"python": f"3.{len(asked)}"}

    with pytest.raises(NoVerdict):
        await installed.beside("/usr/bin/python", ask)
    waiting = asyncio.create_task(installed.beside("/usr/bin/python", ask))
    given_up = asyncio.create_task(installed.beside("/usr/bin/python", ask))
    third = asyncio.create_task(installed.beside("/usr/bin/python", ask))
    await asyncio.sleep(0.5)
    given_up.cancel()
    assert await waiting == await third == {"python": "3.2"}
    assert await installed.beside("/usr/bin/python", ask) == {"python": "3.2"}
    assert await installed.beside("/opt/python", ask) == {"python": "3.3"}
    await asyncio.sleep(61)
    assert await installed.beside("/usr/bin/python", ask) == {"python": "3.4"}
