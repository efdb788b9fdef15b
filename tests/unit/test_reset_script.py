"""`make reset` of the containers: what it asks of Docker, and what it refuses.

Docker is played by a script here, which writes down what it is asked for.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = """\
#!/bin/bash
echo "$*" >>"$CALLS"
case "$*" in
  info) exit "${ENGINE:-0}" ;;
  "compose config --services") printf '%s\\n' $SERVICES ;;
  "compose config --volumes") printf '%s\\n' minio_volume db_volume ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER, encoding="utf-8")
    docker.chmod(0o755)
    return tmp_path / "calls"


def reset(calls: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "deploy" / "reset.sh"],
        env={
            **os.environ,
            "PATH": f"{calls.parent / 'bin'}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "SERVICES": "db s3 mlflow",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_volumes_are_named_and_go_only_after_a_yes(calls: Path) -> None:
    done = reset(calls)
    assert done.returncode == 2
    assert "db_volume minio_volume" in done.stdout
    assert "FORCE=yes" in done.stderr
    assert "down" not in calls.read_text()
    assert reset(calls, FORCE="yes").returncode == 0
    assert "compose down --volumes --remove-orphans" in calls.read_text().splitlines()


def test_version_1_is_the_trainers_work(calls: Path) -> None:
    assert reset(calls, VERSION="1", FORCE="yes", LANGUAGE="pt_BR").returncode == 0
    last = calls.read_text().splitlines()[-1]
    assert "run --rm --env LINGUA --env LANGUAGE=pt_BR --no-TTY" in last
    assert last.endswith("trainer python reset.py --yes")
    assert reset(calls, VERSION="1", FORCE="no").returncode == 0
    assert calls.read_text().splitlines()[-1].endswith("trainer python reset.py")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ENGINE": "1"}, "make reset LOCAL=yes"),
        ({"VERSION": "2"}, "VERSION=2: only 1"),
        ({"SERVICES": "s3 mlflow", "FORCE": "yes"}, "the data of db are outside"),
        ({"SERVICES": "db mlflow", "FORCE": "yes"}, "the data of s3 are outside"),
    ],
)
def test_what_cannot_be_done_is_one_line(calls: Path, variables: dict[str, str], told: str) -> None:
    done = reset(calls, **variables)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert told in line
    assert not any(word in calls.read_text() for word in ("down", "run"))
