"""`make upgrade`: from the tables of an older MLflow, and back to them when it fails."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.compose.endless_runs import NAME, endless_runs, finished
from tests.compose.stack import IMAGE_TAG, Stack, docker, wait_until
from tests.e2e.conftest import free_port

pytestmark = pytest.mark.slow

OLDER = "3.15.0"
TAG = f"{IMAGE_TAG}-upgrade"
IMAGES = ("s3", "mlflow", "trainer", "classificador-produtos", "backup")


@contextmanager
def older_mlflow(stack: Stack, folder: Path) -> Iterator[str]:
    """The address of a server of an MLflow two versions old, on the stack's MySQL and S3."""
    python = folder / "venv" / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    needs = (f"mlflow=={OLDER}", "pymysql", "cryptography", "boto3")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *needs], check=True)
    networks = json.loads(docker("inspect", stack.container("db")))[0]["NetworkSettings"]
    (address,) = [one["IPAddress"] for one in networks["Networks"].values()]
    password = quote(stack.setting("MYSQL_PASSWORD"), safe="")
    database = (
        f"{stack.setting('MYSQL_USER')}:{password}@{address}/{stack.setting('MYSQL_DATABASE')}"
    )
    port = free_port()
    process = subprocess.Popen(
        [python, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"],
        env=os.environ
        | {
            "MLFLOW_BACKEND_STORE_URI": f"mysql+pymysql://{database}",
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{stack.setting('AWS_BUCKET_NAME')}",
            "MLFLOW_S3_ENDPOINT_URL": stack.s3_url,
            "AWS_ACCESS_KEY_ID": stack.setting("AWS_ACCESS_KEY_ID"),
            "AWS_SECRET_ACCESS_KEY": stack.setting("AWS_SECRET_ACCESS_KEY"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "the older MLflow did not start"
        try:
            return requests.get(f"{url}/health", timeout=5).ok
        except requests.RequestException:
            return False

    try:
        wait_until(answers, "the older MLflow to answer")
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def old(
    built: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Stack, set[str]]]:
    """A stack with images of its own and the data of an older MLflow; the runs that it logged."""
    for name in IMAGES:
        image = f"classificador-de-produtos/{name}"
        docker("tag", f"{image}:{IMAGE_TAG}", f"{image}:{TAG}")
    folder = tmp_path_factory.mktemp("older")
    stack = new_stack(IMAGE_TAG=TAG)
    stack.compose("up", "--detach", "db", "create_s3_buckets")
    stack.wait_healthy("db", "s3")
    with older_mlflow(stack, folder) as url, endless_runs(url, folder / "runs"):
        pass
    yield stack, finished(folder / "runs")
    stack.forget()
    for name in IMAGES:
        image = f"classificador-de-produtos/{name}:{TAG}"
        docker("rmi", image, f"{image}-before", check=False)


def holds(stack: Stack, runs: set[str]) -> None:
    """See that all of the runs are there, with their files and versions."""
    versions = stack.api(f"model-versions/search?filter=name%3D'{NAME}'")["model_versions"]
    assert len({one["run_id"] for one in versions} & runs) >= len(runs) - 1
    for run_id in runs:
        assert stack.artifact(run_id, "modelo/MLmodel").text == run_id


def revision(stack: Stack) -> str:
    return stack.sql("SELECT version_num FROM alembic_version")


@pytest.mark.timeout(1800)
def test_an_older_mlflow_s_data_are_brought_up_to_date_also_after_a_restore(
    old: tuple[Stack, set[str]], backup_settings: dict[str, str]
) -> None:
    stack, runs = old
    before = revision(stack)
    stack.make("upgrade", settings=backup_settings)
    after = revision(stack)
    assert after != before
    holds(stack, runs)

    # The backup that it began with is of the older MLflow.
    done = stack.try_make("restore", "SNAPSHOT=latest", "FORCE=yes", settings=backup_settings)
    assert "all files are there that the database names" in done.stderr
    assert "docker compose logs mlflow" in done.stderr
    assert "run `make upgrade`" in stack.logs("mlflow")
    assert revision(stack) == before
    stack.make("upgrade", settings=backup_settings)
    assert revision(stack) == after
    holds(stack, runs)


@pytest.mark.timeout(1800)
def test_one_that_fails_leaves_all_as_it_was(
    old: tuple[Stack, set[str]], backup_settings: dict[str, str], tmp_path: Path
) -> None:
    stack, runs = old
    stack.wait_healthy("mlflow")
    image = docker("inspect", "--format", "{{.Image}}", stack.container("mlflow"))
    broken = tmp_path / "broken.yml"
    build = (
        "{target: !reset null, dockerfile_inline: "
        f'"FROM classificador-de-produtos/mlflow:{IMAGE_TAG}\\nUSER root\\n'
        'RUN rm /app/server/with_mysql.py\\nUSER 10001:10001"}'
    )
    services = ("check_settings", "create_s3_buckets", "mlflow")
    lines = [f"  {name}: {{build: {build}}}\n" for name in services]
    broken.write_text("services:\n" + "".join(lines), encoding="utf-8")
    files = ":".join(map(str, (*stack.files, broken)))
    done = stack.try_make("upgrade", f"COMPOSE_FILE={files}", settings=backup_settings)
    assert done.returncode
    assert "all is as it was before" in done.stderr
    stack.wait_healthy("mlflow")
    assert docker("inspect", "--format", "{{.Image}}", stack.container("mlflow")) == image
    holds(stack, runs)
