"""What `make` says of a target that this stack has no service for."""

import shutil
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.fake_docker import FakeDocker

ANSWERS = """\
  "compose config --services") printf '%s\\n' $SERVICES ;;
"""


@pytest.mark.parametrize(
    ("target", "service", "page"),
    [
        ("user", "accounts", "docs/team.md"),
        ("users", "accounts", "docs/team.md"),
        ("token", "tokens", "docs/team.md"),
        ("tokens", "tokens", "docs/team.md"),
        ("certificate", "caddy", "docs/team.md"),
        ("alarm", "alertmanager", "docs/monitoring.md"),
    ],
)
def test_a_target_of_a_service_that_is_not_there(
    target: str, service: str, page: str, tmp_path: Path
) -> None:
    docker = FakeDocker(tmp_path, ANSWERS)
    make = Path(shutil.which("make") or "make")
    line = ("-C", str(ROOT), target, "NAME=ana", "ROLE=reader")
    done = docker.run(make, *line, SERVICES="mlflow trainer")
    assert done.returncode == 2
    assert f"make {target}: no service {service} is in this stack: {page} tells" in done.stderr
    assert docker.calls.read_text() == "compose config --services\n"
    assert docker.run(make, *line, SERVICES=f"mlflow {service}").returncode == 0
    assert f" {service}" in docker.calls.read_text()
