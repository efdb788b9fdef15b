"""The limits that the documentation tells of are those that there are."""

import pytest

from hotserve import backoff
from hotserve.batching import requests
from hotserve.lane import extract
from hotserve.manager import status, supervisor, switcher, watcher
from hotserve.manager.workers import model_metrics
from hotserve.manager.workers import pool as workers
from hotserve.processes import guard
from hotserve.worker import admission, errors, fast_lane
from hotserve.worker.http import limits
from hotserve.worker.upstream import answer
from produtos import grid
from produtos.batch import differences
from produtos.data import source
from produtos.io import csv as csv_tables
from produtos.io import parquet
from produtos.spark import session
from tests.support.commands import ROOT

DOCS = ROOT / "docs"
IN_WORDS = {10: "ten", 60: "a minute", 120: "two minutes", 1000: "a thousand"}

SAID = {
    "hotserve.md": (
        f"{limits.MAX_URL >> 10} kB; {limits.MAX_HEADERS} headers, {limits.MAX_HEAD >> 10} kB |",
        f"| {limits.MAX_AHEAD}; answered in their order |",
        f"one second more for each {limits.SLOWEST >> 10} kB that came",
        f"{admission.BODIES} × `--max-body`;",
        f"but for bodies of up to {admission._SMALL >> 10} kB |",
        f"a text of more than {fast_lane.LONGEST_TEXT:,} characters",
        f"1 to {fast_lane.FEW} texts, with {fast_lane.LONGEST_TEXT:,} characters together",
        f"`text/csv` of more than {fast_lane.LARGE_CSV >> 20} MB is read in parts",
        f"JSON of more than {fast_lane.LARGEST_JSON >> 20} MB goes to the process unread",
        f"An error message is cut at {errors.LONGEST_MESSAGE:,} characters",
        f"Up to {requests.MOST_ROWS} rows and {requests.MOST_BYTES >> 20} MB.",
        f"bodies of more than {requests.LARGEST >> 10} kB, and what can't be told",
        f"up to {answer.LARGEST // 10**6} MB. After {model_metrics.MOST_CATEGORIES} categories",
        f"if that takes no longer than {switcher._LANE_SECONDS:g} s more",
        f"the last {IN_WORDS[status._REMEMBERED_SWITCHES]} changes of version",
        f"more seldom (up to every {watcher._LONGEST_DELAY:g} s)",
        f"({backoff._FIRST_STEP:g}, 1, 2 … {supervisor._LONGEST_DELAY:g} s later)",
        f"one that lived for {IN_WORDS[round(backoff.STEADY_SECONDS)]} begins afresh",
        f"in the same way (up to {workers._LONGEST_DELAY:g} s later)",
        f"One that hangs for {workers._LONGEST_SILENCE} seconds is ended first",
        f"at {guard.LOG_BYTES // 10**6} MB it is set aside",
    ),
    "fast-lane.md": (f"more than {extract.MOST_CLASSES} classes",),
    "batch.md": (f"the first {differences.LISTED:,} products that differ",),
    "trainer.md": (f"up to {IN_WORDS[grid.MOST_RUNS]} runs",),
    "scale.md": (
        f"parts of {csv_tables.PART >> 20} MB, and Parquet into parts of {parquet.PART:,} ",
        f"512 MB free for {IN_WORDS[session.EXECUTOR_WITHIN]} |",
        f"`--dataset` of up to {source.LARGEST // 10**6} MB",
    ),
}


@pytest.mark.parametrize(
    ("page", "limit"), [(page, limit) for page, said in SAID.items() for limit in said]
)
def test_the_documentation_says_the_limits_that_there_are(page: str, limit: str) -> None:
    assert limit in (DOCS / page).read_text("utf-8")
