"""A deployment's lane: what it may answer, and how it comes to a verdict."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from hotserve.inputs.model_input import TextInput
from hotserve.log import logger
from hotserve.manager.deployment import Deployment
from hotserve.manager.lane_opener import NoVerdict
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from tests.support.fake_clock import fake_clock
from tests.unit.hotserve.manager.fakes import FakeOpener, FakeServer
from tests.unit.hotserve.manager.samples import version

BOTH = LaneVerdict("open", forms=("inputs", "dataframe_split:nome"), checksum=7)
DIFFERENT = LaneVerdict("shut", "it differs")
Kind = Literal["texts", "columns", "table", "misdeclared"]


def deployment(
    kind: Kind = "texts", columns: tuple[str, ...] = (), opener: Any = None
) -> Deployment:
    server: Any = FakeServer()
    files, text_input = LaneFiles(Path("/lanes/1")), TextInput(kind, columns)
    return Deployment(
        version("1"), server, text_input, contextlib.ExitStack(), files, opener=opener
    )


@fake_clock
async def test_an_open_lane_answers_what_was_compared() -> None:
    deployed = deployment()
    assert deployed.lane_target("auto") is None
    deployed.lane = BOTH
    target = deployed.lane_target("auto")
    assert target is not None
    assert target.path == str(LaneFiles(Path("/lanes/1")).compiled)
    assert (target.version, target.checksum, target.forms) == ("1", 7, BOTH.forms)
    assert target.mlflow == "3.0"
    deployed.lane = replace(BOTH, environment={"mlflow": "2.22"})
    target = deployed.lane_target("auto")
    assert target is not None
    assert target.mlflow == "2.22"


@pytest.mark.parametrize(
    ("kind", "columns", "forms", "csv", "takes_csv"),
    [
        ("texts", (), ("inputs",), "auto", True),
        ("texts", (), ("inputs",), "text", True),
        ("texts", (), ("inputs",), "table", False),
        ("texts", (), ("instances",), "auto", False),
        ("table", (), ("inputs",), "auto", False),
        ("table", (), ("inputs",), "text", True),
        ("columns", ("nome",), ("inputs",), "auto", False),
        ("columns", ("nome",), ("inputs", "dataframe_split:nome"), "auto", True),
    ],
)
@fake_clock
async def test_csv_goes_to_the_lane_where_its_form_was_compared(
    kind: Kind, columns: tuple[str, ...], forms: tuple[str, ...], csv: str, takes_csv: bool
) -> None:
    deployed = deployment(kind, columns)
    deployed.lane = replace(BOTH, forms=forms)
    target = deployed.lane_target(csv)
    assert target is not None
    assert (target.csv, target.columns) == (takes_csv, columns)
    assert deployed.lane_json(csv)["forms"] == (["text/csv"] if takes_csv else []) + [*forms]


class Unlucky(FakeOpener):
    """Comes to no verdict a few times."""

    def __init__(self, failures: int, *, was_killed: bool) -> None:
        super().__init__(DIFFERENT)
        self.failures, self.was_killed = failures, was_killed

    async def check(self, port: int) -> LaneVerdict:
        if self.failures:
            self.failures -= 1
            raise NoVerdict("ended by SIGKILL", was_killed=self.was_killed)
        return await super().check(port)


@pytest.mark.parametrize(
    ("opener", "verdict", "compiled", "is_compared"),
    [
        (lambda: FakeOpener(BOTH), BOTH, 1, True),
        (lambda: Unlucky(2, was_killed=True), DIFFERENT, 3, True),
        (lambda: Unlucky(3, was_killed=True), LaneVerdict("shut", "ended by SIGKILL"), 3, False),
        (lambda: Unlucky(1, was_killed=False), LaneVerdict("shut", "ended by SIGKILL"), 1, False),
    ],
)
@fake_clock
async def test_a_helper_that_was_killed_is_tried_again(
    opener: Any, verdict: LaneVerdict, compiled: int, is_compared: bool
) -> None:
    lane_opener = opener()
    deployed = deployment(opener=lane_opener)
    assert await deployed.compare(None) == verdict
    assert (len(lane_opener.begun), deployed.is_compared) == (compiled, is_compared)


@fake_clock
async def test_a_lane_that_was_open_before_stays_open_without_a_verdict(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    deployed = deployment(opener=Unlucky(9, was_killed=True))
    deployed.lane = BOTH
    assert await deployed.compare(None) is None
    assert not deployed.is_compared
    assert "the fast lane was not compared again: ended by SIGKILL" in caplog.messages


@fake_clock
async def test_compiling_that_was_begun_is_used_and_ends_with_the_comparison() -> None:
    opener: Any = FakeOpener(BOTH, seconds=500.0)
    compiling = opener.compiling()
    comparing = asyncio.create_task(deployment(opener=opener).compare(compiling))
    await asyncio.sleep(1)
    comparing.cancel()
    await asyncio.wait([comparing])
    assert (comparing.cancelled(), compiling.cancelled(), len(opener.begun)) == (True, True, 1)


@fake_clock
async def test_what_compiling_found_is_the_verdict() -> None:
    async def found() -> LaneVerdict:
        return DIFFERENT

    opener = FakeOpener(BOTH)
    assert await deployment(opener=opener).compare(asyncio.create_task(found())) == DIFFERENT
    assert opener.checks == []
