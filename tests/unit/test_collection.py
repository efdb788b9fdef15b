"""Tests have the same names in every process, which is what running them in several asks for."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT, completed


def test_names_of_tests_do_not_hang_on_the_clock_or_on_hash_seeds(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    files = sorted({str(item.path) for item in request.session.items})
    again = completed(
        [
            *(sys.executable, "-m", "pytest", "--collect-only", "--quiet"),
            *("-p", "no:cacheprovider", "-p", "no:xdist", *files),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "4711", "TMPDIR": str(tmp_path)},
        timeout=300,
    )
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    there = {line for line in again.stdout.splitlines() if "::" in line}
    assert {item.nodeid for item in request.session.items} <= there
