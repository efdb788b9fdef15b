"""What every entry point of the trainer says of an error that is not the user's."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

RAISE = """
import requests
from produtos import command

def main() -> None:
    raise requests.ConnectionError({text!r})

command.run(main)
"""


def test_a_long_error_keeps_its_reason_which_comes_last() -> None:
    """MLflow's begins with an address of some two hundred characters."""
    text = f"PUT http://mlflow:5000/{'m' * 500}: too many 500 error responses"
    done = subprocess.run(
        [sys.executable, "-c", RAISE.format(text=text)],
        cwd=ROOT / "trainer",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "the tracking server could not do it: PUT http://mlflow:5000/" in line
    assert line.endswith("too many 500 error responses")
    assert len(line) < 500
