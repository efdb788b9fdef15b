"""A deployment's lane: what it may answer, and how it comes to a verdict."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from hotserve.inputs.model_input import TextInput
from hotserve.log import logger
from hotserve.manager.deployment import Deployment
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict
from hotserve.manager.verdict import NoVerdict
from hotserve.redaction import Redactor
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
    shown = deployed.shown(csv, Redactor([]))["lane"]
    assert shown["forms"] == (["text/csv"] if takes_csv else []) + [*forms]


@fake_clock
async def test_what_is_shown() -> None:
    deployed = deployment("columns", ("nome",))
    difference = {"text": "x", "lane": "a", "model": "b"}
    deployed.lane = LaneVerdict("shut", "no /home/ana/x", difference=difference)
    assert deployed.shown("auto", Redactor(["/home/ana"])) == {
        "version": "1",
        "stage": "Production",
        "aliases": ["a"],
        "run_id": "r",
        "model_id": "m",
        "metrics": None,
        "seen": None,
        "lane": {"state": "shut", "why": "no …", "difference": difference, "forms": []},
        "batching": {"state": "comparing", "why": None, "forms": [], "tolerance": 1e-05},
        "columns": ["nome"],
        "expected": None,
        "signature": None,
    }
    deployed.lane, deployed.signature = BOTH, {"inputs": []}
    deployed.metrics, deployed.seen = {"acuracia": 0.9}, {"products": {}}
    shown = deployed.shown("auto", Redactor([]))
    lane = {"state": "open", "why": None, "difference": None}
    assert shown["lane"] == {**lane, "forms": ["text/csv", *BOTH.forms]}
    assert shown["signature"] == {"inputs": []}
    assert (shown["metrics"], shown["seen"]) == ({"acuracia": 0.9}, {"products": {}})
    deployed.metrics = {}
    assert deployed.shown("auto", Redactor([]))["metrics"] is None


class Unlucky(FakeOpener):
    """Comes to no verdict."""

    async def verdict(self, _: int) -> LaneVerdict:
        raise NoVerdict("ended by SIGKILL")


@pytest.mark.parametrize(
    ("opener", "verdict", "is_compared"),
    [
        (lambda: FakeOpener(BOTH), BOTH, True),
        (lambda: FakeOpener(DIFFERENT), DIFFERENT, True),
        (lambda: Unlucky(), LaneVerdict("shut", "ended by SIGKILL"), False),
    ],
)
@fake_clock
async def test_a_lane_comes_to_a_verdict(
    opener: Any, verdict: LaneVerdict, is_compared: bool
) -> None:
    deployed = deployment(opener=opener())
    assert await deployed.compare_lane()
    assert (deployed.lane, deployed.opener is None) == (verdict, is_compared)


@fake_clock
async def test_a_lane_that_was_open_before_stays_open_without_a_verdict(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    deployed = deployment(opener=Unlucky())
    deployed.lane = BOTH
    assert not await deployed.compare_lane()
    assert deployed.lane == BOTH
    assert deployed.opener is not None, "the next process is to be compared"
    assert "the fast lane was not compared again: ended by SIGKILL" in caplog.messages
