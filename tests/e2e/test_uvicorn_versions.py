"""hotserve builds on uvicorn's own classes: their tests on the oldest and the newest it allows."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.commands import ROOT, completed

WORKER = "tests/unit/hotserve/worker"
TESTS = (f"{WORKER}/http/test_protocol.py", f"{WORKER}/test_access_log.py")


def requirement() -> str:
    project = tomllib.loads((ROOT / "classificador-produtos" / "pyproject.toml").read_text())
    [found] = [each for each in project["project"]["dependencies"] if each.startswith("uvicorn")]
    return str(found)


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return completed([sys.executable, *command], cwd=ROOT, env={**os.environ, **variables})


@pytest.mark.parametrize("which", ["lowest-direct", "highest"])
def test_protocol_and_access_log_on_every_uvicorn_that_is_allowed(
    which: str, tmp_path: Path
) -> None:
    installed = run(
        *("-m", "uv", "pip", "install", "--quiet", "--no-deps", "--resolution", which),
        *("--target", str(tmp_path), requirement()),
    )
    if installed.returncode:
        pytest.skip(f"uvicorn can't be had: {installed.stderr.strip()}")
    # It comes before the one that is installed.
    where = run("-c", "import uvicorn; print(uvicorn.__file__)", PYTHONPATH=str(tmp_path))
    assert where.stdout.startswith(str(tmp_path)), where
    tests = run("-m", "pytest", "-q", "-n", "0", *TESTS, PYTHONPATH=str(tmp_path))
    assert tests.returncode == 0, tests.stdout
