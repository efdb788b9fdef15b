"""`pip install ./classificador-produtos` gives hotserve, whole, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import free_port
from tests.e2e.hotserve_process import PATIENCE, eventually
from tests.support.commands import ROOT, completed

PACKAGE = ROOT / "classificador-produtos"


def uv(*arguments: str) -> None:
    done = completed(
        [shutil.which("uv", path=Path(sys.executable).parent) or "uv", *arguments], timeout=900
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with nothing but the package and what it asks for."""
    home = tmp_path_factory.mktemp("hotserve-package")
    # Building leaves files beside the sources.
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    source = shutil.copytree(PACKAGE, home / "source", ignore=ignored)
    uv("venv", "--quiet", "--python", sys.executable, str(home / "venv"))
    python = home / "venv" / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", str(python), str(source))
    return python.parent


@pytest.fixture
def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PYTHON"))}
    return kept | {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}


@pytest.fixture
def address(installed: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Of a hotserve that waits for a registry."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(str(installed / "hotserve"), "--workers", "1", "--cache", str(tmp_path)),
            *(sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/m/1"),
            *("-p", str(port), "--env-manager", "local"),
        ],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def is_open() -> bool:
        assert process.poll() is None, "it ended"
        try:
            requests.get(url, timeout=PATIENCE)
        except requests.ConnectionError:
            return False
        return True

    try:
        eventually(is_open, "it does not listen")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_it_brings_neither_mlflow_nor_scikit_learn(installed: Path) -> None:
    done = completed(
        [installed / "python", "-c", "import numpy, hotserve.cli; print(hotserve.cli.__file__)"],
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout.startswith(str(installed.parent))
    for module in ("mlflow", "sklearn", "pandas"):
        missing = completed([installed / "python", "-c", f"import {module}"])
        assert "ModuleNotFoundError" in missing.stderr, module


def test_its_help_is_there(installed: Path, environment: dict[str, str]) -> None:
    done = completed([installed / "hotserve", "--help"], env=environment, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "mlflow models serve" in done.stdout


def test_its_front_answers_with_all_of_its_files(address: str) -> None:
    assert requests.get(f"{address}/ping", timeout=PATIENCE).status_code == 503
    assert requests.get(f"{address}/model", timeout=PATIENCE).json()["name"] == "m"
    assert requests.get(f"{address}/docs", timeout=PATIENCE).status_code == 200
    page = requests.get(f"{address}/", timeout=PATIENCE)
    assert page.status_code == 200
    linked = re.findall(r'(?:src|href)="([\w./-]+\.(?:js|css|svg))"', page.text)
    assert linked
    for place in linked:
        assert requests.get(f"{address}/{place}", timeout=PATIENCE).status_code == 200, place
