"""A client outside every network of Compose, in an environment of its own with plain MLflow."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import expect

from tests.compose.stack import Stack
from tests.e2e.registry_page import chromium
from tests.support.commands import ROOT, completed

MIB = 1 << 20
ANSWERS = ["brinquedo", "brinquedo", "livro", "livro"]


def uv(*arguments: str) -> None:
    program = Path(sys.executable).with_name("uv")
    subprocess.run([program, *arguments, "--quiet"], check=True)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of the environment: MLflow and scikit-learn as they come."""
    pinned = (ROOT / "trainer" / "requirements.txt").read_text(encoding="utf-8")
    packages = re.findall(r"^(?:mlflow|scikit-learn)==\S+", pinned, flags=re.MULTILINE)
    assert len(packages) == 2
    folder = tmp_path_factory.mktemp("plain") / "venv"
    uv("venv", "--python", sys.executable, str(folder))
    python = folder / "bin" / "python"
    uv("pip", "install", "--python", str(python), *packages)
    return python


@dataclass
class Client:
    """A person's machine: its Python, and the stack that it asks."""

    python: Path
    stack: Stack

    def run(self, script: Path, *arguments: str) -> str:
        """The script's standard output; it knows the tracking server's address and nothing else."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = completed(
            [self.python, script, *arguments],
            env=kept
            | {
                "MLFLOW_TRACKING_URI": self.stack.mlflow_url,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                # Files of 500 MB and more are what MLflow calls large.
                "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(8 * MIB),
                "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(8 * MIB),
                # With the usual ones, what can't be reached is given up after ten minutes.
                "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def step(self, name: str, *arguments: str) -> tuple[list[str], dict[str, int]]:
        """The result of a step of outside_client.py, and how often it asked each server."""
        said = self.run(Path(__file__).with_name("outside_client.py"), name, *arguments)
        answer: dict[str, Any] = json.loads(said.splitlines()[-1])
        return answer["result"], answer["asked"]


@pytest.fixture(scope="module", params=["through-mlflow", "straight-from-s3"])
def client(stack: Stack, python: Path, request: pytest.FixtureRequest) -> Iterator[Client]:
    """The client, of a stack without and with `S3_PUBLIC_URL`."""
    straight = request.param == "straight-from-s3"
    public = {"S3_PUBLIC_URL": stack.s3_url} if straight else {}
    stack.settings |= public
    stack.compose("up", "--detach", "--no-deps", "mlflow")
    stack.wait_healthy("mlflow")
    yield Client(python, stack)
    for name in public:
        del stack.settings[name]
    stack.compose("up", "--detach", "--no-deps", "mlflow")
    stack.wait_healthy("mlflow")


@pytest.fixture(scope="module")
def model(client: Client) -> tuple[str, str]:
    """A run of the client's, and the name of the model that it trained and registered."""
    name = f"de-fora-{'s3' if 'S3_PUBLIC_URL' in client.stack.settings else 'mlflow'}"
    (run_id, version), asked = client.step("train", name)
    assert version == "1"
    assert set(asked) == {urlsplit(client.stack.mlflow_url).netloc}
    return run_id, name


def servers(client: Client) -> set[str]:
    """Those that files come from: MLflow, and S3 too when it is public."""
    addresses = [
        client.stack.mlflow_url,
        *filter(None, [client.stack.settings.get("S3_PUBLIC_URL")]),
    ]
    return {urlsplit(address).netloc for address in addresses}


@pytest.mark.parametrize("which", ["1", "Production"])
def test_it_loads_the_model_by_version_and_by_stage(
    client: Client, model: tuple[str, str], which: str
) -> None:
    answers, asked = client.step("load", f"models:/{model[1]}/{which}")
    assert answers == ANSWERS
    assert set(asked) == servers(client)


def test_a_large_file_goes_up_and_comes_down_as_it_was(
    client: Client, model: tuple[str, str]
) -> None:
    (before, after), asked = client.step("large", model[0], str(24 * MIB))
    assert before == after
    assert set(asked) == servers(client)
    if public := client.stack.settings.get("S3_PUBLIC_URL"):
        assert asked[urlsplit(public).netloc] >= 6, "three parts up, and three down"


def test_the_stack_s_own_clients_go_through_mlflow_always(
    client: Client, model: tuple[str, str]
) -> None:
    """For them S3_PUBLIC_URL may be an address that leads nowhere, as this one does."""
    code = f"import mlflow; mlflow.pyfunc.load_model('models:/{model[1]}/1'); print('loaded')"
    for service in ("trainer", "batch", "classificador-produtos"):
        line = ("run", "--rm", "--no-deps", "-T", "-e", "MLFLOW_HTTP_REQUEST_MAX_RETRIES=1")
        said = client.stack.compose(*line, "--entrypoint", "python", service, "-c", code)
        assert said.splitlines()[-1] == "loaded"


def test_batch_runs_there(client: Client, model: tuple[str, str], tmp_path: Path) -> None:
    needs = ("-r", str(ROOT / "trainer" / "requirements.txt"))
    uv("pip", "install", "--python", str(client.python), *needs)
    products, answers = tmp_path / "produtos.csv", tmp_path / "respostas.csv"
    products.write_text("nome;descricao\nboneca;de pano\nromance;policial\n", encoding="utf-8")
    files = ("--input", str(products), "--output", str(answers))
    client.run(ROOT / "trainer" / "batch.py", *files, "--model", f"models:/{model[1]}/Production")
    last_column = [line.rpartition(";")[2] for line in answers.read_text("utf-8").splitlines()]
    assert last_column[1:] == ["brinquedo", "livro"]


def test_its_files_are_listed_for_it_and_in_the_page(
    client: Client, model: tuple[str, str]
) -> None:
    run_id, _ = model
    assert client.step("listing", run_id, "arquivos")[0] == ["arquivos/grande.bin"]
    run = requests.get(
        f"{client.stack.mlflow_url}/api/2.0/mlflow/runs/get", params={"run_id": run_id}, timeout=60
    ).json()["run"]["info"]
    with chromium() as browser:
        page = browser.new_page()
        path = f"experiments/{run['experiment_id']}/runs/{run_id}/artifacts"
        page.goto(f"{client.stack.mlflow_url}/#/{path}")
        page.get_by_text("arquivos", exact=True).click()
        expect(page.get_by_text("grande.bin").first).to_be_visible()
