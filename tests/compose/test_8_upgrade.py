"""`make upgrade`: from the tables of an older MLflow, and back to what was there when it fails."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
SERVICES = {
    "mlflow": ("check_settings", "create_s3_buckets", "mlflow"),
    "classificador-produtos": ("classificador-produtos",),
}


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
def own_images(built: None) -> Iterator[None]:  # noqa: ARG001
    """Images that an upgrade may build anew."""
    for name in IMAGES:
        image = f"classificador-de-produtos/{name}"
        docker("tag", f"{image}:{IMAGE_TAG}", f"{image}:{TAG}")
    yield
    for name in IMAGES:
        image = f"classificador-de-produtos/{name}:{TAG}"
        docker("rmi", image, f"{image}-before", check=False)


@pytest.fixture
def old(
    own_images: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path: Path,
) -> Iterator[tuple[Stack, set[str]]]:
    """A stack with images of its own and the data of an older MLflow; the runs that it logged."""
    folder = tmp_path / "older"
    folder.mkdir()
    stack = new_stack(IMAGE_TAG=TAG)
    stack.compose("up", "--detach", "db", "create_s3_buckets")
    stack.wait_healthy("db", "s3")
    with older_mlflow(stack, folder) as url, endless_runs(url, folder / "runs"):
        pass
    yield stack, finished(folder / "runs")
    stack.forget()


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


@dataclass(frozen=True)
class Broken:
    """A newer version that can't be used: what of its images is other, and what is said then."""

    said: str
    dockerfiles: dict[str, str]


def python(file: str, code: str) -> str:
    """A Dockerfile's line that writes the module."""
    return f"RUN echo {b64encode(code.encode()).decode()} | base64 -d >/app/{file}"


BROKEN = {
    "that cannot be built": Broken(
        "they could not be built: nothing was changed",
        {"classificador-produtos": "LABEL newer=yes", "mlflow": "RUN false"},
    ),
    "whose migration ends half-way": Broken(
        "Cannot add foreign key",
        {
            "mlflow": python(
                "server/with_mysql.py",
                """
import os, pymysql, sys
names = ("host", "user", "password", "database")
options = {name: os.environ[f"MYSQL_{name.upper()}"] for name in names}
with pymysql.connect(**options) as connection, connection.cursor() as cursor:
    cursor.execute("ALTER TABLE runs ADD COLUMN newer INT")
    cursor.execute("DELETE FROM metrics")
    connection.commit()
sys.exit("Cannot add foreign key")
""",
            )
        },
    ),
    "whose MLflow does not start": Broken(
        "a library is missing",
        {"mlflow": python("server/one_process.py", "raise SystemExit('a library is missing')")},
    ),
    "whose API does not start": Broken(
        "a file is missing",
        {
            "classificador-produtos": python(
                "hotserve/__init__.py", "raise SystemExit('a file is missing')"
            )
        },
    ),
}


@pytest.fixture(scope="module")
def current(
    own_images: None,  # noqa: ARG001
    new_stack: Callable[..., Stack],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Stack, set[str]]:
    """A stack with images of its own, one version of it without files; the runs that it has."""
    stack = new_stack(IMAGE_TAG=TAG)
    stack.compose("up", "--detach")
    stack.wait_trained()
    run = stack.runs()[0]["info"]
    source = f"{run['artifact_uri']}/sem-arquivos"
    stack.api("registered-models/create", name="sem-arquivos")
    stack.api("model-versions/create", name="sem-arquivos", source=source, run_id=run["run_id"])
    out = tmp_path_factory.mktemp("runs") / "runs"
    with endless_runs(stack.mlflow_url, out):
        pass
    return stack, finished(out)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", BROKEN)
def test_one_leaves_all_as_it_was(
    current: tuple[Stack, set[str]], backup_settings: dict[str, str], tmp_path: Path, kind: str
) -> None:
    stack, runs = current
    stack.wait_healthy()
    # Builds the image that makes it.
    stack.make("backup", settings=backup_settings)
    before = state(stack)
    broken = BROKEN[kind]
    services = {}
    for image, line in broken.dockerfiles.items():
        base = f"FROM classificador-de-produtos/{image}:{IMAGE_TAG}"
        dockerfile = "\n".join((base, "USER root", line, "USER 10001:10001"))
        build = {"target": None, "dockerfile_inline": dockerfile}
        for service in SERVICES[image]:
            services[service] = {"build": build}
    overlay = tmp_path / "broken.yml"
    # What is null there is not looked at, unless it is told to count.
    text = json.dumps({"services": services}).replace('"target": null', '"target": !reset null')
    overlay.write_text(text, encoding="utf-8")
    files = ":".join(map(str, (*stack.files, overlay)))

    done = stack.try_make("upgrade", f"COMPOSE_FILE={files}", settings=backup_settings)
    assert "Error 1" in done.stderr
    assert broken.said in done.stderr
    if kind != "that cannot be built":
        assert "all is as it was before" in done.stderr
    stack.wait_healthy()
    assert state(stack) == before
    holds(stack, runs)
    assert stack.classify() == "brinquedo"


def state(stack: Stack) -> dict[str, str]:
    """What runs, what a start would take, and what the database holds."""
    found = {"revision": revision(stack)}
    for table in ("runs", "metrics", "model_versions"):
        found[table] = stack.sql(f"SELECT COUNT(*) FROM {table}")
    found["columns"] = stack.sql("SHOW COLUMNS FROM runs")
    for image in IMAGES:
        name = f"classificador-de-produtos/{image}:{TAG}"
        found[image] = docker("image", "inspect", "--format", "{{.Id}}", name)
    for service in ("mlflow", "classificador-produtos"):
        found[f"running {service}"] = docker(
            "inspect", "--format", "{{.Image}}", stack.container(service)
        )
    return found
