"""`make bundle`, and `make run` from it on a machine that has no network at all."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.git_repository import committed_clone, git
from tests.e2e.stack import run_in_checkout
from tests.support.commands import ROOT, completed

pytestmark = pytest.mark.slow

ALONE = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"]), "bash", "-c"]
"""Runs a script in a network namespace of its own, which nothing leads out of."""

CLASS = """
set -euo pipefail
ip link set lo up
! timeout 5 bash -c 'exec 3<>/dev/tcp/1.1.1.1/53' 2>/dev/null
make run >output 2>&1 &
stack=$!
trap 'kill -INT -- -$stack 2>/dev/null; wait $stack || true' EXIT
until grep -E 'ready after' output >/dev/null; do
  kill -0 $stack || { cat output; exit 1; }
  sleep 0.2
done
curl --silent --fail -H 'Content-Type: text/csv' -d 'boneca de pano' localhost:8080/invocations
source .venv/bin/activate
export MLFLOW_TRACKING_URI=http://localhost:5000
mlflow run trainer --env-manager local >trained 2>&1 || { cat trained; exit 1; }
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, made in a clone whose environment is this one."""
    folder = tmp_path_factory.mktemp("bundle")
    clone = folder / "com espaço"
    committed_clone(clone)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    made = run_in_checkout(["make", "bundle", f"BUNDLE={folder / 'aula.tar'}"], cwd=clone)
    assert made.returncode == 0, made.stderr
    assert re.search(r"aula\.tar: \d+ MB, for python3\.\d+ ", made.stderr)
    assert sorted(path.name for path in folder.iterdir()) == ["aula.tar", "com espaço"]
    return folder / "aula.tar"


def test_make_run_needs_nothing_else(bundle: Path, tmp_path: Path) -> None:
    probe = subprocess.run([*ALONE, "ip link set lo up"], check=False)
    if probe.returncode:
        pytest.skip("no network namespace can be made here")
    subprocess.run(["tar", "--extract", "--file", bundle], cwd=tmp_path, check=True)
    (folder,) = tmp_path.iterdir()
    home = tmp_path / "home"
    home.mkdir()
    ran = completed(
        [*ALONE, f"set -m\n{CLASS}"],
        cwd=folder,
        # No cache, no settings and no environment but those of the bundle.
        env={"HOME": str(home), "PATH": os.defpath + ":/usr/local/bin", "LINGUA": "en"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '{"predictions": ["brinquedo"]}' in ran.stdout
    assert str(ROOT) not in (folder / ".git" / "config").read_text()
    log = git("log", "--oneline", cwd=folder)
    assert "Classificador de produtos" in log
