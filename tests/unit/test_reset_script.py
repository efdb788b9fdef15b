"""`make reset` of the containers: what it asks of Docker, and what it refuses."""

import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.fake_docker import FakeDocker

SCRIPT = ROOT / "deploy" / "reset.sh"
ANSWERS = """\
  info) exit "${ENGINE:-0}" ;;
  "compose config --services") printf '%s\\n' $SERVICES ;;
  "compose config --volumes") printf '%s\\n' minio_volume db_volume ;;
"""


@pytest.fixture
def docker(tmp_path: Path) -> FakeDocker:
    return FakeDocker(tmp_path, ANSWERS)


def reset(docker: FakeDocker, **variables: str) -> subprocess.CompletedProcess[str]:
    return docker.run(SCRIPT, **{"SERVICES": "db s3 mlflow", **variables})


def test_volumes_are_named_and_go_only_after_a_yes(docker: FakeDocker) -> None:
    done = reset(docker)
    assert done.returncode == 2
    assert "db_volume minio_volume" in done.stdout
    assert "FORCE=yes" in done.stderr
    assert "down" not in docker.calls.read_text()
    assert reset(docker, FORCE="yes").returncode == 0
    assert "compose down --volumes --remove-orphans" in docker.calls.read_text().splitlines()


def test_version_1_is_the_trainers_work(docker: FakeDocker) -> None:
    assert reset(docker, VERSION="1", FORCE="yes").returncode == 0
    last = docker.calls.read_text().splitlines()[-1]
    assert "run --rm --no-TTY" in last
    assert last.endswith("trainer python reset.py --yes")
    assert reset(docker, VERSION="1", FORCE="no").returncode == 0
    assert docker.calls.read_text().splitlines()[-1].endswith("trainer python reset.py")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ENGINE": "1"}, "make reset LOCAL=yes"),
        ({"VERSION": "2"}, "VERSION=2: only 1"),
        ({"SERVICES": "s3 mlflow", "FORCE": "yes"}, "the data of db are outside"),
        ({"SERVICES": "db mlflow", "FORCE": "yes"}, "the data of s3 are outside"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    docker: FakeDocker, variables: dict[str, str], told: str
) -> None:
    done = reset(docker, **variables)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert told in line
    assert not any(word in docker.calls.read_text() for word in ("down", "run"))
